"""A step of a handshake has only what can be done in it."""

from __future__ import annotations

from matrix_membership import Signer
from matrix_membership.federation import JOINING, AwaitingAcceptance, AwaitingTemplate


def right(signer: Signer) -> str:
    step: AwaitingTemplate = JOINING.begin("@ben:b.example", "!room:a.example", signer=signer)
    return step.request.path


def wrong(signer: Signer, step: AwaitingTemplate) -> AwaitingAcceptance:
    JOINING.begin("@ben:b.example", "!room:a.example")  # error: call-arg
    JOINING.begin("@ben:b.example", 1, signer=signer)  # error: arg-type
    step.reader()  # error: attr-defined
    return step  # error: return-value
