"""Strategies for the auth rules: an event, and the state to judge it by.

Cases are weighted by the chapters of the rules, so 2,000 cases of a room version reach
every one of its rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from hypothesis.vendor.pretty import RepresentationPrinter

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision, select_auth_events
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID, server_of
from matrix_membership.room_versions import EventIdFormat, RoomVersion
from matrix_membership.state import RoomState
from matrix_membership.strategies._fields import reference
from matrix_membership.strategies._json import Fields
from matrix_membership.strategies._script import Writer
from matrix_membership.strategies._situations import draw_trial
from matrix_membership.strategies._trials import Trial, draw_room, written
from matrix_membership.strategies.identifiers import room_versions

__all__ = ["auth_cases", "draw_cases", "room_states"]


@frozen
class AuthCase:
    """An event, the state to judge it by, and the decision of the auth rules.

    `str` gives a script that rebuilds the case.

    Attributes:
        event: the event.
        state: the state before it.
        auth_events: the events that it lists as its auth events.
        rejected: the IDs of events that were rejected earlier.
    """

    event: Event
    state: RoomState
    auth_events: tuple[Event, ...] = ()
    rejected: frozenset[EventID] = frozenset()

    @property
    def decision(self) -> Decision:
        """The decision on the auth events if it rejects, otherwise that on the event."""
        on_auth_events = self.auth_events_decision
        # In the order of the rules: those on auth events come before all that read the state.
        return auth.check(self.event, self.state) if on_auth_events else on_auth_events

    @property
    def auth_events_decision(self) -> Decision:
        """The decision of `auth.check_auth_events`."""
        return auth.check_auth_events(
            self.event, self.auth_events, rejected=self.rejected, create=self.state.create_event
        )

    @property
    def script(self) -> str:
        """Python that rebuilds the case and asserts its decision."""
        in_state = tuple(self.state.events)
        writer = Writer.of(self.event.room_version, (*in_state, self.event))
        # An event of the state is named by its place: written out twice, it would double the
        # script.
        cited = [
            f"state.get({event.type!r}, {event.state_key!r})"
            if event in in_state
            else writer.event(event)
            for event in self.auth_events
        ]
        rejected = f"rejected={set(self.rejected)!r}, " if self.rejected else ""
        decision = self.decision
        return "\n".join(
            [
                *writer.opening("Event", "RoomState", "auth"),
                f"state = RoomState.of({writer.version}, [",
                *writer.list_of(in_state),
                "])" if not self.state.is_partial else "], partial=True)",
                f"event = {writer.event(self.event)}",
                f"auth_events = [{', '.join(cited)}]",
                "",
                f"decision = auth.check_auth_events(event, auth_events, {rejected}create=state.create_event)",
                "if decision:",
                "    decision = auth.check(event, state)",
                f"# {decision}",
                f"assert (decision.allowed, decision.number) == {(decision.allowed, decision.number)!r}",
                "",
            ]
        )

    def __str__(self) -> str:
        return self.script

    def __repr__(self) -> str:
        return f"<{self.event!r}: {self.decision}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:  # noqa: FBT001 - Hypothesis calls it
        """Let Hypothesis show the script."""
        printer.text(f"...:\n{self.script}" if not cycle else "...")


@st.composite
def auth_cases(
    draw: DrawFn,
    *,
    room_version: RoomVersion | None = None,
    unsound_auth_events: bool = True,
    impossible_levels: bool = True,
    signed: bool = False,
) -> AuthCase:
    """Draw cases for the auth rules, near the border between allowed and rejected.

    Args:
        draw: passed by Hypothesis.
        room_version: the version of the room; None for any.
        unsound_auth_events: whether some events list the wrong auth events. Turn it off
            for an engine that takes only an event and a state.
        impossible_levels: whether some rooms have power levels that the rules of their
            version keep out, such as text from version 10 on. Some events then have
            levels that no rule of their version reads, such as a `ban` of `[]` before it.
            Engines differ on these.
        signed: whether to hash and sign all events, with `signer_of` their servers.
            Otherwise only `signed_by` names the signers.

    >>> from hypothesis import find
    >>> print(find(auth_cases(), lambda case: True).decision)
    allowed by rule 10 of room version 11: nothing speaks against this event

    .. versionadded:: 0.1.0
    """
    version = room_version or draw(_VERSIONS)
    trial = draw_trial(draw, version, impossible_levels=impossible_levels)
    return _case(trial, draw(_FAULTS) if unsound_auth_events else "", signed=signed)


@st.composite
def room_states(
    draw: DrawFn, *, room_version: RoomVersion | None = None, signed: bool = False
) -> RoomState:
    """Draw small room states, some with a malformed value.

    Args:
        draw: passed by Hypothesis.
        room_version: the version of the room; None for any.
        signed: whether to hash and sign all events.

    >>> from hypothesis import find
    >>> find(room_states(), lambda state: True)
    <state of !room:a.example, version 11>

    .. versionadded:: 0.1.0
    """
    version = room_version or draw(_VERSIONS)
    room, _ = draw_room(draw, version)
    return RoomState.of(version, room.events(signed=signed))


_VERSIONS: Final = room_versions()


def _case(trial: Trial, fault: str, *, signed: bool) -> AuthCase:
    version = trial.room.room_version
    room = trial.room.events(signed=signed)
    state = RoomState.of(version, room)
    create = state.create_event
    # The rule on the creator's first join tells it by its previous event.
    before = create.event_id if create and trial.follows_create else _BEFORE[version.event_ids]
    fields: Fields = {
        "room_id": create.room_id if create else None,
        "prev_events": [reference(before, version)],
        **trial.fields,
    }
    selected = select_auth_events(_draft(fields, version))
    cited = tuple(event for event in room if (event.type, event.state_key) in selected)
    # After the selection, so that the list is right but for this one fault.
    cited, rejected = _with_fault(fault, room, cited, signed=signed)
    if fault == "in another room" and room:
        fields["room_id"] = _ANOTHER_ROOM
    fields |= {
        "event_id": f"$event:{server_of(str(fields['sender']))}",
        "auth_events": [reference(entry.event_id, version) for entry in cited],
    }
    event = written(fields, version, signed_by=trial.signed_by, signed=signed)
    return AuthCase(event, state, cited, frozenset(entry.event_id for entry in rejected))


_BEFORE: Final = MappingProxyType(
    {
        EventIdFormat.IN_PDU: "$before:a.example",
        EventIdFormat.BASE64: "$" + "before+/".ljust(43, "0"),
        EventIdFormat.URL_SAFE_BASE64: "$" + "before-_".ljust(43, "0"),
    }
)
"""An event ID in each format of event IDs."""


def _draft(fields: Fields, version: RoomVersion) -> Event:
    """Return the event without auth events, so that they can be selected for it."""
    # The selection reads nothing else.
    said = ("type", "sender", "state_key", "content")
    present = {key: fields[key] for key in said if fields.get(key) is not None}
    return Event.from_client_event(present, version)


def _with_fault(
    fault: str, room: tuple[Event, ...], cited: tuple[Event, ...], *, signed: bool
) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Return the auth events to list, and the rejected events.

    Args:
        fault: what is wrong with the list; empty for nothing.
        room: the state events of the room, the create event first.
        cited: the auth events that should be listed.
        signed: whether to sign further events.
    """
    last = cited[-1:]

    def altered(**fields: JsonValue) -> tuple[Event, ...]:
        """Return a copy of the last one with other fields, if there is one."""
        copied = {"event_id": "$copy:a.example", **fields}
        return tuple(
            written({**event.to_pdu(), **copied}, event.room_version, signed_by=(), signed=signed)
            for event in last
        )

    match fault:
        case "twice":
            cited += altered(depth=2)
        case "unexpected":
            cited += altered(type="m.room.name", state_key="", content={})
        case "create event":
            cited = room[:1] + cited
        case "no create event":
            cited = tuple(event for event in cited if event.type != "m.room.create")
        case "of another room":
            cited = cited[:-1] + altered(room_id=_ANOTHER_ROOM)
        case "one rejected":
            return cited, last
        case "create event rejected":
            return cited, room[:1]
    return cited, ()


_ANOTHER_ROOM: Final = "!another:a.example"
_FAULTS: Final = st.sampled_from(
    (
        # 56 of 64 cases list what they should. Otherwise the rules on auth events would decide most
        # of them.
        *("",) * 56,
        *("twice", "unexpected", "one rejected", "create event rejected"),
        *("create event", "no create event", "of another room", "in another room"),
    )
)


def draw_cases(room_version: RoomVersion, count: int, *, seed: int = 0) -> Iterator[AuthCase]:
    """Draw cases for the auth rules, with sound auth events.

    Args:
        room_version: the version of the rooms.
        count: how many.
        seed: another one gives other cases. Another release of Hypothesis may do so too.

    Yields:
        The cases. Cost: about 2 ms for each.

    >>> from matrix_membership.room_versions import V11
    >>> len(list(draw_cases(V11, 5)))
    5

    .. versionadded:: 0.1.0
    """
    # Hypothesis calls a test, and gives nothing back before its end. So the cases are drawn in
    # parts: a hundred thousand at once would take half a gigabyte.
    for start in range(0, count, _AT_ONCE):
        yield from _drawn(room_version, min(_AT_ONCE, count - start), f"{seed} {start}")


_AT_ONCE: Final = 1000


def _drawn(room_version: RoomVersion, count: int, named: str) -> list[AuthCase]:
    found: list[AuthCase] = []

    # Nothing fails here, so there is nothing to shrink or to keep.
    @seeded(named)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(auth_cases(room_version=room_version, unsound_auth_events=False))
    def keep(case: AuthCase) -> None:
        found.append(case)

    keep()
    return found
