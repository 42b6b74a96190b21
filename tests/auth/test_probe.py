"""Probes: they answer what is known, and tell whoever asks for more that it is unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from matrix_membership.auth._program import Name, Probe, known_memberships, outcome_of
from matrix_membership.identifiers import is_user_id, server_of
from matrix_membership.membership import BAN, JOIN


def probes() -> tuple[Probe, Probe]:
    """An event and a state. As globals they would be asked by pytest, which looks for tests."""
    sender, target = Name(), Name()
    event = Probe(sender=sender, state_key=target, membership=JOIN)
    state = Probe(
        membership_of=known_memberships((sender, JOIN)),
        create=Probe(federate=True),
        join_rule=None,
    )
    return event, state


def _carefully(ask: Callable[[], bool]) -> bool:
    """Do as a rule that takes every fault of a content for a no."""
    try:
        return ask()
    except Exception:  # noqa: BLE001 - that is the point
        return False


class TestOutcome:
    @pytest.mark.parametrize(
        ("applies", "holds"),
        [
            (lambda event, _: event.sender == event.state_key, False),
            (lambda event, _: event.sender != event.state_key, True),
            (lambda event, _: bool(event.state_key or ""), True),
            (lambda event, _: event.membership is JOIN or event.depth, True),
            (lambda event, state: state.membership_of(event.sender) is BAN, False),
            (lambda _, state: not state.create.federate and state.create_event, False),
        ],
    )
    def test_is_that_of_what_is_known(self, applies: Any, holds: bool) -> None:
        assert outcome_of(applies, *probes()) is holds

    @pytest.mark.parametrize(
        ("applies", "asked"),
        [
            (lambda event, _: event.depth, "depth"),
            (lambda event, state: state.membership_of(event.state_key) is BAN, "membership_of"),
            (lambda event, _: event.sender == "@ana:a.example", ""),
            (lambda event, _: is_user_id(event.sender), ""),
            (lambda event, _: server_of(event.sender), ""),
            (lambda event, _: event.sender in {"@ana:a.example", ""}, ""),
            (lambda event, _: event.sender[:1] == "@", ""),
            (lambda event, _: event.sender < event.state_key, ""),
            (lambda event, _: str(event.sender) == "@ana:a.example", ""),
            (lambda event, _: f"{event.sender}" in ("@ana:a.example", ""), ""),
            (lambda event, _: repr(event) == "", ""),
            (lambda event, _: f"{event:s}" == "", ""),
            (lambda event, _: _carefully(lambda: event.depth > 1), "depth"),
            (lambda _, state: isinstance(state.create, dict), ""),
            (lambda _, state: not state.create, ""),
            (lambda _, state: state.create == state.create, ""),
            (lambda _, state: state.create in {1, 2}, ""),
        ],
    )
    def test_depends_on_what_is_not(self, applies: Callable[..., Any], asked: str) -> None:
        assert outcome_of(applies, *probes()) == asked

    def test_lets_the_faults_of_rules_through(self) -> None:
        with pytest.raises(ZeroDivisionError):
            outcome_of(lambda _event, _state: bool(1 / 0), *probes())
