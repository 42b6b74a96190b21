"""Draft the events of a new room, each judged by the state before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.client._drafting import judged, judged_draft
from matrix_membership.client.actions import Send
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.drafts import draft_create
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID, server_of
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

Place = tuple[str, str]
"""A type and a state key."""


@frozen
class Step:
    """A state event of a new room.

    Attributes:
        event_type: its type.
        state_key: its state key.
        content: its content.
        optional: whether the room goes without it if it cannot hold it.
    """

    event_type: str
    state_key: str
    content: Mapping[str, JsonValue]
    optional: bool = False


@frozen
class Founded:
    """A new room, and the optional events that it does without.

    Attributes:
        room: the room after its events. Nobody has signed them yet.
        sends: its events in order.
        left_out: why each optional event is missing, by type and state key.
    """

    room: ResidentRoom
    sends: tuple[Send, ...]
    left_out: Mapping[Place, MatrixError]


def create_content(
    user: UserID, room_version: RoomVersion, content: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return the content of a create event, with the keys that only a server sets."""
    made = {**content, "room_version": room_version.identifier}
    made.pop("creator", None)
    return {**made, "creator": user} if room_version.creator_in_content else made


def founded(
    user: UserID,
    room_version: RoomVersion,
    create: Mapping[str, JsonValue],
    steps: Iterable[Step],
    *,
    room_id: RoomID,
    at: int,
) -> Founded | MatrixError:
    """Draft the events of a new room.

    Args:
        user: its creator, who sends all of them.
        room_version: its version.
        create: the content of the create event.
        steps: the events after it.
        room_id: its ID, up to version 11.
        at: the time now, in milliseconds since 1970.

    Returns:
        The room; or the error if the rules reject an event that is not optional. Cost: linear
        in the steps.

    Raises:
        InvalidEvent: the room ID is not one, up to version 11.
    """
    server = server_of(user)
    events: dict[EventID, Event] = {}
    room = ResidentRoom(server, RoomState.of(room_version, []), (), 0, events.get)
    draft = draft_create(room_version, sender=user, content=create, at=at, room_id=room_id)
    send = judged_draft(draft, room.state, server)
    sends: list[Send] = []
    left_out: dict[Place, MatrixError] = {}
    # The create event leads: only its draft differs from the others.
    for number, step in enumerate((Step("m.room.create", "", create), *steps)):
        kind, key = step.event_type, step.state_key
        if number:
            send = judged(room, kind, key, user, step.content, at=at)
        made = drafted(send, server)
        if isinstance(made, Drafted):
            sends.append(made.send)
            events[made.event.event_id] = made.event
            room = evolve(
                room,
                state=room.state.with_event(made.event),
                prev_events=(made.event.event_id,),
                depth=made.event.depth,
            )
        elif step.optional:
            left_out[kind, key] = made
        else:
            return invalid(kind, made)
    return Founded(room, tuple(sends), left_out)


@frozen
class Drafted:
    """An event to send: its template, and the event without its signature."""

    send: Send
    event: Event


def drafted(send: Send | MatrixError, server: ServerName) -> Drafted | MatrixError:
    """Return an event to send with its ID, which no signature changes; or the error."""
    if isinstance(send, MatrixError):
        return send
    try:
        return Drafted(send, unsigned(send.template, server))
    except InvalidEvent as error:
        return MatrixError.of("M_BAD_JSON", str(error))


def unsigned(template: EventTemplate, server: ServerName) -> Event:
    """Return the event that a template makes, without its signature.

    Raises:
        InvalidEvent: the template breaks the format of the room version.
    """
    return template.complete(_Nobody(server))


def following(room: ResidentRoom, event: Event) -> ResidentRoom:
    """Return a room whose newest event is this one; its state stays."""
    known = room.get_event

    def get_event(event_id: EventID) -> Event | None:
        return event if event_id == event.event_id else known(event_id)

    return evolve(room, prev_events=(event.event_id,), depth=event.depth, get_event=get_event)


def invalid(event_type: str, error: MatrixError) -> MatrixError:
    """Return the error for a room that cannot hold an event."""
    errcode = "M_INVALID_ROOM_STATE" if error.errcode == "M_FORBIDDEN" else error.errcode
    return evolve(error, errcode=errcode, error=f"{event_type}: {error.error}", status=400)


@frozen
class _Nobody:
    """Stands for the signer of a draft.

    The ID of an event does not cover its signatures. This one is as long as a real one, with a
    longer key ID than most: a draft that fits still fits once it is signed.
    """

    server_name: ServerName
    key_id: str = f"ed25519:{'x' * 64}"

    def signature_over(self, message: bytes) -> str:  # noqa: ARG002 - of every signer
        """Return a text that is as long as a signature."""
        return "x" * 86
