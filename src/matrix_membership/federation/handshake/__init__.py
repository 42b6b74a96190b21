"""Join, knock on or leave a room through another server.

Each step is an immutable value with the `request` to send. Its `receive` takes the answer and
returns the next step. No step does I/O or reads a clock: time and keys are arguments. `STEPS`
shows the whole machine::

    step = JOINING.begin(user_id, room_id, signer=signer)
    step = step.receive(MakeResponse.from_json(await send(step.request)), at=now_ms)
    step = step.receive(SendJoinResponse.from_bytes(await send(step.request)))
    step = step.receive(await fetch_keys(step.needs))

See `Joining rooms`__, `Knocking upon a room`__ and `Leaving rooms`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
__ https://spec.matrix.org/v1.19/server-server-api/#knocking-upon-a-room
__ https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.errors import (
    InvalidEvent,
    InvalidJson,
    LocalProtocolError,
    RemoteProtocolError,
)
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation._splitting import ANSWER_BUDGET, AnswerBudget
from matrix_membership.federation.audit import Examination, SendJoinReader, examine
from matrix_membership.federation.drafts import chosen_id
from matrix_membership.federation.handshake._ends import Joined, Knocked, Left, Refused
from matrix_membership.federation.messages import (
    MakeResponse,
    MatrixError,
    Request,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
    SendResponse,
    path_of,
)
from matrix_membership.identifiers import (
    RoomID,
    ServerName,
    UserID,
    is_user_id,
    read_room_id,
    read_user_id,
    server_of,
)
from matrix_membership.membership import JOIN, KNOCK, LEAVE, Membership
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import KeyRing, Signer

__all__ = [
    "JOINING",
    "KNOCKING",
    "LEAVING",
    "STEPS",
    "AwaitingAcceptance",
    "AwaitingKeys",
    "AwaitingTemplate",
    "Handshake",
    "HandshakeStep",
    "Joined",
    "Knocked",
    "Left",
    "Refused",
]


@frozen
class Handshake:
    """The handshake of one membership: `JOINING`, `KNOCKING` or `LEAVING`.

    Attributes:
        membership: the membership that the user asks for.
        make: the endpoint that returns a template.
        send: the endpoint that takes the signed event.
        send_versions: the versions of that endpoint, newest first.
        response: the class of its answer; `response.from_json` reads one.

    .. versionadded:: 0.1.0
    """

    membership: Membership
    make: str
    send: str
    send_versions: tuple[str, ...]
    response: type[SendResponse]

    def begin(
        self,
        user: str,
        room: str,
        *,
        signer: Signer,
        resident: str = "",
        room_versions: Mapping[str, RoomVersion] = KNOWN,
        content: Mapping[str, JsonValue] | None = None,
        omit_members: bool = True,
    ) -> AwaitingTemplate:
        """Begin the handshake with one resident server.

        Args:
            user: the user who joins, knocks or leaves; a user of the signer's server.
            room: the room ID.
            signer: this server's key.
            resident: the name of the server to ask; steps and ends carry it.
            room_versions: the room versions that this server supports.
            content: further keys of the event's content, such as `displayname` and
                `reason`.
            omit_members: whether the answer to a join may leave memberships out.

        Raises:
            InvalidIdentifier: `user` is not a user ID, or `room` not a room ID.
            InvalidJson: the content has a value that JSON cannot express.
            LocalProtocolError: the user belongs to another server than the signer.

        >>> signer = Signer.from_seed("b.example", "ed25519:1", "A" * 43)
        >>> step = KNOCKING.begin("@ben:b.example", "!r:a.example", signer=signer)
        >>> step.request.path
        '/_matrix/federation/v1/make_knock/%21r%3Aa.example/%40ben%3Ab.example'
        """
        user, room = read_user_id(user), read_room_id(room)
        if server_of(user) != signer.server_name:
            raise LocalProtocolError(f"a user of {signer.server_name}", user)
        return AwaitingTemplate(
            self,
            user,
            room,
            signer,
            ServerName(resident),
            # A step may be pickled; a mapping proxy refuses that.
            JsonObject(
                {
                    name: version
                    for name, version in room_versions.items()
                    # A version without knocking is not offered: the rules would refuse its
                    # template.
                    if self.membership is not KNOCK or version.knocking
                }
            ),
            freeze(dict(content or {})),
            omit_members,
        )

    def __reduce__(self) -> tuple[object, ...] | str:
        """Pickle the three handshakes by name, so that identity survives."""
        for name, known in (("JOINING", JOINING), ("KNOCKING", KNOCKING), ("LEAVING", LEAVING)):
            if known is self:
                return name
        fields = (self.membership, self.make, self.send, self.send_versions, self.response)
        return (Handshake, fields)


# The newest version of an endpoint first. The specification has send_knock in version 1 only.
JOINING: Final = Handshake(JOIN, "make_join", "send_join", ("v2", "v1"), SendJoinResponse)
"""Joining a room: make_join, then send_join."""
KNOCKING: Final = Handshake(KNOCK, "make_knock", "send_knock", ("v1",), SendKnockResponse)
"""Knocking on a room: make_knock, then send_knock."""
LEAVING: Final = Handshake(LEAVE, "make_leave", "send_leave", ("v2", "v1"), SendLeaveResponse)
"""Leaving a room, rejecting its invite or retracting a knock: make_leave, then send_leave."""


@frozen
class AwaitingTemplate:
    """The first step: ask for a template.

    Attributes:
        handshake: `JOINING`, `KNOCKING` or `LEAVING`. All others are as for `Handshake.begin`.

    .. versionadded:: 0.1.0
    """

    handshake: Handshake
    user_id: UserID
    room_id: RoomID
    signer: Signer
    resident: ServerName
    room_versions: Mapping[str, RoomVersion]
    content: JsonObject
    omit_members: bool

    @property
    def request(self) -> Request:
        """The make_join, make_knock or make_leave request."""
        # make_leave has no `ver`: leaving needs no knowledge of the version.
        names = self.room_versions if self.handshake.membership is not LEAVE else ()
        return Request(
            "GET",
            path_of("v1", self.handshake.make, self.room_id, self.user_id),
            tuple(("ver", name) for name in names),
        )

    def receive(self, message: object, *, at: int) -> AwaitingAcceptance | Refused:
        """Take the answer.

        Args:
            message: a `MakeResponse` or a `MatrixError`.
            at: the current time in milliseconds since 1970, for `origin_server_ts`.

        Raises:
            LocalProtocolError: the message has another type.
            RemoteProtocolError: the template is for something else, or its room version was
                not offered. Another server may answer better.
        """
        if isinstance(message, MatrixError):
            return Refused(message)
        if not isinstance(message, MakeResponse):
            raise _unexpected(self, message)
        template = EventTemplate.of(message.event, self._version(message))
        return AwaitingAcceptance(
            self.handshake,
            self._completed(template, at),
            self.resident,
            self.handshake.send_versions[0],
            self.omit_members and self.handshake.membership is JOIN,
        )

    def _version(self, message: MakeResponse) -> RoomVersion:
        named = message.room_version
        if named is None and self.handshake.membership is not KNOCK:
            named = "1"  # the spec's default: servers older than version 2 send no version
        version = self.room_versions.get(named) if named is not None else None
        if version is None:
            raise RemoteProtocolError(
                "a room version that was offered", named, "M_INCOMPATIBLE_ROOM_VERSION"
            )
        return version

    def _completed(self, template: EventTemplate, at: int) -> Event:
        """Return the member event of a template, hashed and signed.

        It takes only three things from the template: the references, the depth and, on a join,
        the authorising user. Anything else would let the resident server choose what the user
        says.
        """
        # gomatrixserverlib and tuwunel overwrite a wrong value, Synapse the membership. A server
        # that answers another question cannot be relied on for the references either, so here it is
        # refused.
        for field, came, asked in (
            ("type", template.get("type"), "m.room.member"),
            ("room_id", template.get("room_id"), self.room_id),
            ("sender", template.get("sender"), self.user_id),
            ("state_key", template.get("state_key"), self.user_id),
            ("membership", template.content.get("membership"), str(self.handshake.membership)),
        ):
            if came != asked:
                raise RemoteProtocolError(f"a template whose {field} is {asked}", came)
        fields: dict[str, Any] = {
            "type": "m.room.member",
            "room_id": self.room_id,
            "sender": self.user_id,
            "state_key": self.user_id,
            "content": self._content(template),
            # Version 11 took it out of the event format, but the schemas of send_* still require it.
            "origin": self.signer.server_name,
            "origin_server_ts": at,
            **{name: template.get(name) for name in ("depth", "auth_events", "prev_events")},
        }
        chosen = template.room_version.event_id_in_pdu
        event_id = chosen_id(fields, self.signer.server_name) if chosen else None
        try:
            made = EventTemplate.of(fields, template.room_version)
            return made.complete(self.signer, event_id=event_id)
        except (InvalidEvent, InvalidJson) as error:
            raise RemoteProtocolError("a template of an event", str(error)) from error

    def _content(self, template: EventTemplate) -> dict[str, JsonValue]:
        """Return the user's content, with the authorising user that the template names."""
        said = {key: self.content[key] for key in self.content if key != _AUTHORISER}
        said["membership"] = str(self.handshake.membership)
        authoriser = template.content.get(_AUTHORISER)
        # Keep the key on joins only: by its rule, any event with the key needs that server's
        # signature, and a knock or leave would never get it.
        restricted = self.handshake.membership is JOIN and template.room_version.restricted_joins
        if authoriser is None or not restricted:
            return said
        if not is_user_id(authoriser):
            raise RemoteProtocolError("a template whose authorising user is a user ID", authoriser)
        return {**said, _AUTHORISER: authoriser}


_AUTHORISER: Final = "join_authorised_via_users_server"


@frozen
class AwaitingAcceptance:
    """The second step: send the signed event.

    Attributes:
        handshake: `JOINING`, `KNOCKING` or `LEAVING`.
        event: the signed event.
        resident: the server that sent the template.
        endpoint: the version of the send endpoint to try: `v2` or `v1`.
        omit_members: whether the answer to a join may leave memberships out.

    .. versionadded:: 0.1.0
    """

    handshake: Handshake
    event: Event
    resident: ServerName
    endpoint: str
    omit_members: bool

    @property
    def destination(self) -> ServerName:
        """The server to send the event to.

        That is the server of the user who authorises a restricted join, whose signature the
        event needs; otherwise the server that sent the template.
        """
        if self.event.authorised_via:
            return server_of(self.event.authorised_via)
        return self.resident

    @property
    def request(self) -> Request:
        """The send_join, send_knock or send_leave request."""
        asks = self.handshake.membership is JOIN and self.endpoint == "v2"
        return Request(
            "PUT",
            path_of(self.endpoint, self.handshake.send, self.event.room_id, self.event.event_id),
            (("omit_members", "true" if self.omit_members else "false"),) if asks else (),
            self.event.pdu,
        )

    def reader(self, *, budget: AnswerBudget = ANSWER_BUDGET) -> SendJoinReader:
        """Return a reader for the answer to a join, to be fed while it comes in.

        Feed it each piece of the body, and pass its result to `receive`::

            reader = step.reader()
            for data in body:
                reader.feed(data)
            step = step.receive(reader.finish())

        Raises:
            LocalProtocolError: the handshake is not a join.
        """
        if self.handshake is not JOINING:
            raise LocalProtocolError("a join, whose answer may be large", self.handshake.send)
        return SendJoinReader(
            self.event,
            asked_to_omit=self.omit_members,
            resident=self.destination,
            budget=budget,
        )

    def receive(
        self, message: object
    ) -> AwaitingKeys | AwaitingAcceptance | Knocked | Left | Refused:
        """Take the answer.

        Args:
            message: the answer to the send request of this handshake, or the `Examination`
                of a `reader` for a join, or a `MatrixError`.

        Returns:
            The next step. If the server does not know the endpoint, that is this step with
            the older version of the endpoint. Cost: linear in the answer.

        Raises:
            LocalProtocolError: the message has another type.
        """
        match message:
            case MatrixError():
                versions = self.handshake.send_versions
                if message.means_unknown_endpoint and self.endpoint != versions[-1]:
                    older = versions[versions.index(self.endpoint) + 1]
                    # Version 1 of send_join cannot omit members: an answer without them would be
                    # one that nobody asked for.
                    return evolve(self, endpoint=older, omit_members=False)
                return Refused(message)
            case SendJoinResponse() if self.handshake is JOINING:
                examination = examine(
                    message,
                    self.event,
                    asked_to_omit=self.omit_members,
                    resident=self.destination,
                )
                return AwaitingKeys(examination, self.destination)
            # An answer that was read for another join says nothing of this one.
            case Examination() if self.handshake is JOINING and message.join == self.event:
                return AwaitingKeys(message, self.destination)
            case SendKnockResponse() if self.handshake is KNOCKING:
                return Knocked(self.event, message.knock_room_state, self.destination)
            case SendLeaveResponse() if self.handshake is LEAVING:
                return Left(self.event, self.destination)
            case _:
                raise _unexpected(self, message)


@frozen
class AwaitingKeys:
    """The third step of a join: fetch the keys that verify the answer.

    Attributes:
        examination: the answer, read but not yet checked.
        resident: the server that answered.

    .. versionadded:: 0.1.0
    """

    examination: Examination
    resident: ServerName

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch: the key IDs of each server."""
        return self.examination.needs

    def receive(
        self,
        keys: object,
        *,
        map: Callable[..., Iterable[Any]] = map,
    ) -> Joined:
        """Take the keys, and audit the answer.

        Args:
            keys: a `KeyRing` with the keys of `needs` that could be fetched.
            map: maps a function over pieces of work: see `Examination.audit`.

        Returns:
            The end of the handshake. Cost: see `Examination.audit`.

        Raises:
            LocalProtocolError: `keys` is not a `KeyRing`.
            RemoteProtocolError: the answer has a fatal defect. Another server may answer
                better.
        """
        if not isinstance(keys, KeyRing):
            raise _unexpected(self, keys)
        audit = self.examination.audit(keys, map=map)
        if audit.state is None:
            raise RemoteProtocolError(
                "an answer without fatal defects", str(audit), "M_UNKNOWN", 502
            )
        return Joined(audit.event, audit.state, audit, self.resident)


HandshakeStep = (
    AwaitingTemplate | AwaitingAcceptance | AwaitingKeys | Joined | Knocked | Left | Refused
)
"""Any step or end of a handshake: the type of a variable that goes through them."""

STEPS: Final[Mapping[type, Mapping[type, tuple[type, ...]]]] = MappingProxyType(
    {
        AwaitingTemplate: MappingProxyType(
            {MakeResponse: (AwaitingAcceptance,), MatrixError: (Refused,)}
        ),
        AwaitingAcceptance: MappingProxyType(
            {
                SendJoinResponse: (AwaitingKeys,),
                Examination: (AwaitingKeys,),
                SendKnockResponse: (Knocked,),
                SendLeaveResponse: (Left,),
                MatrixError: (Refused, AwaitingAcceptance),
            }
        ),
        AwaitingKeys: MappingProxyType({KeyRing: (Joined,)}),
        **dict.fromkeys((Joined, Knocked, Left, Refused), MappingProxyType({})),
    }
)
"""For each step: the messages that it takes, and the steps that each of them can lead to.

This table documents the machine. The steps decide in `receive`, where a type checker sees
what comes out; a test plays every message to every step and compares with this table.
"""


def _unexpected(step: object, message: object) -> LocalProtocolError:
    taken = " or ".join(kind.__name__ for kind in STEPS[type(step)])
    return LocalProtocolError(f"{taken} in {type(step).__name__}", type(message).__name__)
