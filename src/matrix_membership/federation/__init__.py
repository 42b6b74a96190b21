"""Federation: the messages and handshakes of membership, from both sides.

- `JOINING`, `KNOCKING`, `LEAVING`: handshakes of a server that is not in the room.
- `Attempts`: one of these handshakes with several servers in turn.
- `resident`: the answers of a server that is in the room.
- `history`: the answers to servers that ask for the events and the state of a room.
- `drafts`: draft state events of a room that this server is in.
- `invites`: invite a user of another server, or answer such an invite.
- `third_party`: invite by e-mail address or phone number.
- `audit`: find the defects of an answer to send_join.
- `sufficiency`: check an answer to send_join that this server made.
- `messages`, `invites.messages`: requests, answers and errors.
- `x_matrix`: sign requests, and verify the signatures of others.
"""

from __future__ import annotations

from matrix_membership.federation import drafts, history, invites, resident, third_party
from matrix_membership.federation.audit import AnswerBudget, SendJoinReader
from matrix_membership.federation.audit import Audit as Audit
from matrix_membership.federation.audit import Examination as Examination
from matrix_membership.federation.handshake import (
    JOINING,
    KNOCKING,
    LEAVING,
    STEPS,
    AwaitingAcceptance,
    AwaitingKeys,
    AwaitingTemplate,
    Handshake,
    HandshakeStep,
    Joined,
    Knocked,
    Left,
    Refused,
)
from matrix_membership.federation.handshake.attempts import Attempt as Attempt
from matrix_membership.federation.handshake.attempts import Attempts, End, Failed
from matrix_membership.federation.handshake.attempts import Reply as Reply
from matrix_membership.federation.invites import Countersigned, Offered
from matrix_membership.federation.invites.messages import (
    ExchangeRequest,
    InviteRequest,
    InviteResponse,
    OnBindRequest,
    PendingInvite,
    StoredInvite,
)
from matrix_membership.federation.invites.policy import InvitePolicy, InviteVerdict
from matrix_membership.federation.messages import (
    MakeRequest,
    MakeResponse,
    MatrixError,
    Request,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
    SendRequest,
)
from matrix_membership.federation.resident import Accepted
from matrix_membership.federation.resident_room import AwaitingEvents, ResidentRoom, in_batches
from matrix_membership.federation.third_party import AwaitingValidity as AwaitingValidity
from matrix_membership.federation.third_party import KeyValidity

__all__ = [
    "JOINING",
    "KNOCKING",
    "LEAVING",
    "STEPS",
    "Accepted",
    "AnswerBudget",
    "Attempts",
    "AwaitingAcceptance",
    "AwaitingEvents",
    "AwaitingKeys",
    "AwaitingTemplate",
    "Countersigned",
    "End",
    "ExchangeRequest",
    "Failed",
    "Handshake",
    "HandshakeStep",
    "InvitePolicy",
    "InviteRequest",
    "InviteResponse",
    "InviteVerdict",
    "Joined",
    "KeyValidity",
    "Knocked",
    "Left",
    "MakeRequest",
    "MakeResponse",
    "MatrixError",
    "Offered",
    "OnBindRequest",
    "PendingInvite",
    "Refused",
    "Request",
    "ResidentRoom",
    "SendJoinReader",
    "SendJoinResponse",
    "SendKnockResponse",
    "SendLeaveResponse",
    "SendRequest",
    "StoredInvite",
    "drafts",
    "history",
    "in_batches",
    "invites",
    "resident",
    "third_party",
]
