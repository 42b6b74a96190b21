"""The shapes that bots know, with answers by the rules: matrix-nio's `PowerLevels`, and a state store for mautrix.

levels = RuleLevels(lambda: states[room_id])
levels.can_user_ban("@bot:b.example", "@eve:e.example")

client.state_store = RuleStateStore(fetch)
await client.state_store.has_power_level(room_id, client.mxid, EventType.ROOM_NAME)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from mautrix.client.state_store import MemoryStateStore
from mautrix.types import EventType, Membership, RoomID, StateEvent, UserID

from matrix_membership import Event, RoomState, may, read_state
from matrix_membership.advice.may import May, Permission
from matrix_membership.errors import IncompleteState
from matrix_membership.events.contents import PowerLevels
from matrix_membership.identifiers import server_of
from matrix_membership.membership import JOIN


class RuleLevels:
    """Have the shape of matrix-nio's `PowerLevels`; answer by the rules and the state of a room.

    A question without a target is about the level, and whether the user is joined. An unknown answer is a no.
    """

    def __init__(self, current: Callable[[], RoomState]) -> None:
        self.current = current

    @property
    def defaults(self) -> PowerLevels:
        """`ban`, `kick`, `invite`, `notifications` and so on, by name."""
        return self.current().power_levels

    @property
    def users(self) -> Mapping[str, int]:
        return self.defaults.users

    @property
    def events(self) -> Mapping[str, int]:
        return self.defaults.events

    def get_state_event_required_level(self, event_type: str) -> int:
        return self.defaults.state_level_of(event_type)

    def get_message_event_required_level(self, event_type: str) -> int:
        return self.defaults.message_level_of(event_type)

    def get_notification_required_level(self, notification_type: str) -> int:
        return self.defaults.notifications.get(notification_type, 50)

    def get_user_level(self, user_id: str) -> int:
        return self.current().power_level_of(user_id)

    def can_user_send_state(self, user_id: str, event_type: str) -> bool:
        return bool(may_set(user_id, event_type, self.current()))

    def can_user_send_message(self, user_id: str, event_type: str = "m.room.message") -> bool:
        return bool(may_send(user_id, event_type, self.current()))

    def can_user_invite(self, user_id: str, target_user_id: str | None = None) -> bool:
        if target_user_id is None:
            return self._reaches(user_id, "invite")
        return bool(may(user_id, self.current()).invite(target_user_id))

    def can_user_kick(self, user_id: str, target_user_id: str | None = None) -> bool:
        if target_user_id is None:
            return self._reaches(user_id, "kick")
        return bool(may(user_id, self.current()).kick(target_user_id))

    def can_user_ban(self, user_id: str, target_user_id: str | None = None) -> bool:
        if target_user_id is None:
            return self._reaches(user_id, "ban")
        return bool(may(user_id, self.current()).ban(target_user_id))

    def can_user_redact(self, user_id: str) -> bool:
        state = self.current()
        return bool(may(user_id, state).redact(message_of("@somebody:else.invalid", state)))

    def can_user_notify(self, user_id: str, notification_type: str = "room") -> bool:
        state = self.current()
        if notification_type == "room":
            return bool(may(user_id, state).notify())
        if not may(user_id, state).send("m.room.message"):
            return False
        needed = self.get_notification_required_level(notification_type)
        return state.power_level_of(user_id) >= needed

    def update(self, new_levels: object) -> None:
        """Do nothing: the levels come from the state, so they are new when it is."""

    def _reaches(self, user_id: str, name: str) -> bool:
        state = self.current()
        try:
            joined = state.membership_of(user_id) is JOIN
            needed: int = getattr(state.power_levels, name)
            return joined and state.power_level_of(user_id) >= needed
        except IncompleteState:
            return False


class RuleStateStore(MemoryStateStore):
    """Be a state store for mautrix that asks the rules.

    It fetches a room's state when it is asked about the room, and keeps it until the state changes.
    """

    def __init__(self, fetch: Callable[[RoomID], Awaitable[Iterable[Any]]]) -> None:
        super().__init__()
        self.fetch = fetch
        self.states: dict[RoomID, RoomState] = {}
        self.changes: Counter[RoomID] = Counter()

    async def state_of(self, room_id: RoomID) -> RoomState:
        """Return the state of a room."""
        if room_id in self.states:
            return self.states[room_id]
        before = self.changes[room_id]
        state = read_state(await self.fetch(room_id))
        # What changed meanwhile may not be in the answer, so the next question fetches again.
        if self.changes[room_id] == before:
            self.states[room_id] = state
        return state

    async def update_state(self, evt: StateEvent) -> None:
        # Its content has levels filled in that the room does not name, so it is fetched as JSON.
        # Forgotten first: the store below may fail to keep it, and the server has it already.
        self._forget(evt.room_id)
        await super().update_state(evt)

    async def set_membership(
        self, room_id: RoomID, user_id: UserID, membership: Membership
    ) -> None:
        # The client calls this after an act of its own, before the event comes.
        self._forget(room_id)
        await super().set_membership(room_id, user_id, membership)

    def _forget(self, room_id: RoomID) -> None:
        self.changes[room_id] += 1
        self.states.pop(room_id, None)

    async def may(self, room_id: RoomID, user_id: UserID) -> May:
        """Ask other questions: `(await store.may(room_id, user_id)).ban(other)`."""
        return may(user_id, await self.state_of(room_id))

    async def has_power_level(
        self, room_id: RoomID, user_id: UserID, event_type: EventType
    ) -> bool | None:
        ask = may_set if event_type.is_state else may_send
        return ask(user_id, event_type.t, await self.state_of(room_id))


def may_set(user: str, event_type: str, state: RoomState) -> bool | None:
    """Tell whether a user may send state: what is there once more, or else an empty content."""
    # The rules compare new power levels with the old ones, and an empty content would remove levels.
    current = state.get(event_type) if state.knows(event_type) else None
    content = {} if current is None else current.content
    return told(may(user, state).set(event_type, content=content))


def may_send(user: str, event_type: str, state: RoomState) -> bool | None:
    """Tell whether a user may send a non-state event; in case of a redaction, of a message of their own."""
    if event_type == "m.room.redaction":
        return told(may(user, state).redact(message_of(user, state)))
    return told(may(user, state).send(event_type))


def told(answer: Permission) -> bool | None:
    return None if answer.unknown else bool(answer)


def message_of(sender: str, state: RoomState) -> Event:
    """Make a message to ask about."""
    # In versions 1 and 2 the rules compare the servers in event IDs.
    event_id = f"$message:{server_of(sender)}"
    message = {"type": "m.room.message", "sender": sender, "content": {}, "event_id": event_id}
    return Event.from_client_event(message, state.room_version)
