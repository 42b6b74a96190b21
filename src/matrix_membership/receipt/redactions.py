"""Find out when a redaction takes effect.

In room versions 1 and 2 the authorisation rules decide (rule 11). From version 3 on they accept
every redaction, and a server applies it only once it has both events, under two conditions. See
`Handling redactions`__.

__ https://spec.matrix.org/v1.19/rooms/v11/#handling-redactions
"""

from __future__ import annotations

from matrix_membership._attrs import Word, frozen
from matrix_membership.events import Event
from matrix_membership.state import RoomState

__all__ = ["effect_of"]


class Reason(Word):
    """The condition by which a redaction takes effect, or why it does not."""

    BY_RULES = "the rules allowed it"
    BY_LEVEL = "its sender reaches the redact level"
    BY_SERVER = "its sender is of the same server as that of the event"
    WAITS = "the event that it redacts is not here yet"
    OTHER_EVENT = "it redacts another event"
    OTHER_ROOM = "it redacts an event of another room"
    BELOW_LEVEL = "its sender is below the redact level, and of another server"
    NOT_A_REDACTION = "it is not a redaction of an event"


@frozen
class Effect:
    """The effect of a redaction: true if a server applies it.

    Attributes:
        redaction: the redaction.
        target: the event that it redacts; None if that is not here yet.
        reason: the condition by which it takes effect, or why it does not.
    """

    redaction: Event
    target: Event | None
    reason: Reason

    def __bool__(self) -> bool:
        return self.reason in (Reason.BY_RULES, Reason.BY_LEVEL, Reason.BY_SERVER)

    @property
    def waits(self) -> bool:
        """True if the effect has to be asked for again when the target arrives.

        Until then, keep the redaction under its `redacts`, and show it to no client.
        """
        return self.reason is Reason.WAITS

    def __str__(self) -> str:
        return f"{'applied' if self else 'not applied'}: {self.reason}"


def effect_of(redaction: Event, target: Event | None, state: RoomState) -> Effect:
    """Find out whether a server applies a redaction, and shows it to its users.

    Both events must have been accepted. Ask when the redaction arrives; if the answer waits, ask
    again when the target does, with the same state. A target that was redacted already can be
    redacted again: nothing changes.

    Args:
        redaction: the redaction.
        target: the event with the ID `redaction.redacts`; None if it is not here yet.
        state: the state before the redaction.

    Returns:
        The effect. If it is true, keep and serve `target.redacted()`, with the redaction as
        `redacted_because` in its `unsigned` for clients. The state of the room stays as it is,
        with the redacted event in it.

    Raises:
        IncompleteState: the state leaves out its create event or its power levels.

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> fields = {"type": "m.room.redaction", "sender": "@ana:a.example", "content": {}}
    >>> fields |= {"content": {"redacts": "$" + "x" * 43}}
    >>> effect = effect_of(Event.from_client_event(fields, V11), None, RoomState.of(V11, []))
    >>> effect.waits, str(effect)
    (True, 'not applied: the event that it redacts is not here yet')
    """
    found = _mismatch(redaction, target)
    if found is None:
        found = Reason.WAITS if target is None else _condition(redaction, target, state)
    return Effect(redaction, target, found)


def _mismatch(redaction: Event, target: Event | None) -> Reason | None:
    """Return why the one does not redact the other, as far as both are here."""
    if redaction.type != "m.room.redaction" or not isinstance(redaction.redacts, str):
        return Reason.NOT_A_REDACTION
    if target is None:
        return None
    if target.event_id != redaction.redacts:
        return Reason.OTHER_EVENT
    # Events in client format need not name their room.
    rooms = {redaction.room_id, target.room_id} - {""}
    return Reason.OTHER_ROOM if len(rooms) > 1 else None


def _condition(redaction: Event, target: Event, state: RoomState) -> Reason:
    if redaction.room_version.event_id_in_pdu:
        return Reason.BY_RULES
    if state.power_level_of(redaction.sender) >= state.power_levels.redact:
        return Reason.BY_LEVEL
    return Reason.BY_SERVER if redaction.server == target.server else Reason.BELOW_LEVEL
