"""The rules that show an event to a viewer, and the answer.

`visibility` asks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import Word, frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import IncompleteState, InvalidIdentifier
from matrix_membership.events import Event
from matrix_membership.identifiers import (
    ServerName,
    UserID,
    is_server_name,
    is_user_id,
    server_of,
)
from matrix_membership.membership import INVITE, JOIN, MEMBERSHIPS, UNKNOWN, Membership
from matrix_membership.state import RoomState
from matrix_membership.state.of_servers import has_invited, has_joined

_MEMBER: Final = "m.room.member"
_PLACE: Final = "m.room.history_visibility"


class HistoryVisibility(Word):
    """The values of `m.room.history_visibility`."""

    WORLD_READABLE = "world_readable"
    SHARED = "shared"
    INVITED = "invited"
    JOINED = "joined"


class Reason(Word):
    """The rule that shows an event, or why none does."""

    WORLD_READABLE = "everybody may read the history"
    JOINED = "joined at the event"
    JOINED_SINCE = "the history is shared, and joined since"
    INVITED = "invited at the event, and the history is for invited users"
    HIDDEN = "no rule shows it"
    UNKNOWN = "hangs on what the state leaves out"


@frozen
class Visibility:
    """The answer to the question whether a viewer may see an event: true if so.

    Attributes:
        viewer: the user or the server.
        event: the event.
        reason: the rule that shows it, or why none does.
        history_visibility: the values that count: one; for an event that sets the value, the
            one before it and the one after it. None stands for a value that the state leaves
            out.
        joined: whether the viewer was joined at the event; None if that is unknown.
        invited: whether the viewer was invited at the event; None if that is unknown.
        joined_since: whether the viewer joined after the event; None if that is unknown.
        erased: whether the viewer gets the event in redacted form, because its sender's
            account was erased.
        membership: the user's membership at the event, with any change that the event makes;
            leave for a user without one. None if it is unknown, and for a server.
    """

    viewer: UserID | ServerName
    event: Event
    reason: Reason
    history_visibility: tuple[HistoryVisibility | None, ...]
    joined: bool | None
    invited: bool | None
    joined_since: bool | None
    erased: bool = False
    membership: Membership | None = None

    def __bool__(self) -> bool:
        return self.reason not in (Reason.HIDDEN, Reason.UNKNOWN)

    def __str__(self) -> str:
        verdict = "visible to" if self else "hidden from"
        values = " or ".join([str(value or "unknown") for value in self.history_visibility])
        return f"{verdict} {self.viewer}: {self.reason} (history visibility {values})"

    @property
    def shown(self) -> Event | None:
        """The event in the form in which to serve it; None if a user may not see it.

        A server gets an event that it may not see in redacted form: without the event it
        could not follow the room's history.

        Raises:
            InvalidEvent: the event must be redacted and came in client format.
        """
        if self and not self.erased:
            return self.event
        return self.event.redacted() if self or not self.viewer.startswith("@") else None

    def to_client_event(self) -> dict[str, JsonValue] | None:
        """Return the event as a client gets it, a fresh dict; None for a hidden one.

        Its `unsigned` has the `membership` of the user. What other servers wrote into `unsigned`
        is left out.

        Raises:
            InvalidEvent: as for `shown`.
        """
        shown = self.shown
        if shown is None:
            return None
        told = shown.to_client_event()
        came = told.pop("unsigned", None)
        # No signature covers it: another server could tell our clients that the event was redacted.
        kept = came if isinstance(came, Mapping) and not shown.pdu else {}
        unsigned = {key: value for key, value in kept.items() if key != "membership"}
        if self.membership is not None:
            unsigned["membership"] = str(self.membership)
        return {**told, "unsigned": unsigned} if unsigned else told


def history_visibility(state: RoomState) -> HistoryVisibility:
    """Return the history visibility of a room.

    It is shared if it is unset or not understood.

    Raises:
        IncompleteState: the state is stripped and leaves the event out.
    """
    return _value(state.get(_PLACE))


_VALUES: Final = MappingProxyType({value.value: value for value in HistoryVisibility})


def _value(event: Event | None) -> HistoryVisibility:
    told = None if event is None else event.content.get("history_visibility")
    # By text only: an unhashable value must not raise.
    found = _VALUES.get(told) if isinstance(told, str) else None
    return HistoryVisibility.SHARED if found is None else found


def values_of(event: Event | None, before: RoomState) -> tuple[HistoryVisibility | None, ...]:
    """Return the values that count for an event; None where the state leaves one out."""
    found: HistoryVisibility | None = None
    with suppress(IncompleteState):
        found = history_visibility(before)
    if event is not None and event.type == _PLACE and event.state_key == "":
        # The old value or the new one is enough, so that all who can see either see the change.
        return found, _value(event)
    return (found,)


@frozen
class Viewer:
    """A user or a server that looks.

    A user's own memberships count; a server is joined or invited if one of its users is.

    Attributes:
        name: the user or the server.
        is_user: whether it is a user.
    """

    name: UserID | ServerName
    # A property that looks at the name costs a tenth of `may_see`.
    is_user: bool

    @classmethod
    def of(cls, name: str) -> Viewer:
        """Make a viewer of a user ID or a server name.

        Raises:
            InvalidIdentifier: the name is of neither.
        """
        if is_user_id(name):
            return cls(name, is_user=True)
        if is_server_name(name):
            return cls(name, is_user=False)
        raise InvalidIdentifier("viewer", "a user ID or a server name", name)

    def joined(self, state: RoomState) -> bool | None:
        """Tell whether the viewer is joined; None if that is unknown."""
        return self._has(JOIN, has_joined, state)

    def invited(self, state: RoomState) -> bool | None:
        """Tell whether the viewer is invited; None if that is unknown."""
        return self._has(INVITE, has_invited, state)

    def _has(
        self, membership: Membership, of_server: Callable[[RoomState, str], bool], state: RoomState
    ) -> bool | None:
        if self.is_user:
            found = state.membership_of(self.name)
            return None if found is UNKNOWN else found is membership
        try:
            return of_server(state, self.name)
        except IncompleteState:
            return None

    def is_about(self, event: Event) -> bool:
        """Tell whether a member event is the viewer's own."""
        if self.is_user or event.state_key is None:
            return event.state_key == self.name
        return server_of(event.state_key) == self.name

    def membership_at(self, event: Event, before: RoomState) -> Membership | None:
        """Return the membership at an event, the change that it makes included.

        None for a server, whose users differ.
        """
        if not self.is_user:
            return None
        own = event.type == _MEMBER and self.is_about(event)
        found = event.membership if own else before.membership_of(self.name)
        # By the words of the protocol: clients are not told `unknown`.
        return MEMBERSHIPS.get(str(found))


def see(
    viewer: Viewer,
    event: Event,
    before: RoomState,
    since: bool | None,  # noqa: FBT001 - a fact like the others
    erased: Mapping[str, RoomState | None],
) -> Visibility:
    """Tell whether a viewer, who joined `since` or not, may see an event."""
    values = values_of(event, before)
    joined, invited = viewer.joined(before), viewer.invited(before)
    # The membership before a member event of the viewer or the one after it is enough.
    if event.type == _MEMBER and viewer.is_about(event):
        joined = True if event.membership is JOIN else joined
        invited = True if event.membership is INVITE else invited
    reason = reason_of(values, joined, invited, since)
    redacts = False
    if event.sender in erased:
        then = erased[event.sender]
        # The history that everybody may read does not count: then nobody would get the event
        # redacted.
        redacts = not (joined or (then is not None and viewer.joined(then)))
    membership = viewer.membership_at(event, before)
    return Visibility(
        viewer.name, event, reason, values, joined, invited, since, redacts, membership
    )


SHOWN: Final = (Reason.WORLD_READABLE, Reason.JOINED, Reason.JOINED_SINCE, Reason.INVITED)


def reason_of(
    values: tuple[HistoryVisibility | None, ...],
    joined: bool | None,  # noqa: FBT001 - a fact, as are the two below
    invited: bool | None,  # noqa: FBT001 - the same
    since: bool | None,  # noqa: FBT001 - the same
) -> Reason:
    """Return the first rule of the specification's list that shows an event."""
    # By the place of the rule: its condition, and the values with which it shows the event.
    rules: tuple[tuple[Reason, bool | None, HistoryVisibility | None], ...] = (
        (Reason.WORLD_READABLE, True, HistoryVisibility.WORLD_READABLE),
        (Reason.JOINED, joined, None),
        (Reason.JOINED_SINCE, since, HistoryVisibility.SHARED),
        (Reason.INVITED, invited, HistoryVisibility.INVITED),
    )
    unknown = False
    for reason, holds, value in rules:
        applies = value is None or value in values
        if holds and applies:
            return reason
        # A value that is unknown may be the one that the rule asks for.
        unknown = unknown or (holds is None and applies) or (holds is not False and None in values)
    return Reason.UNKNOWN if unknown else Reason.HIDDEN
