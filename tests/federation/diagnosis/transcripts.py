"""Transcripts with one fault each: both roles of this library talk, and one of them errs.

Nothing here writes an answer by hand that a role can give: a refusal is what `answer_make`,
`answer_send` or `invites.answer` say. Only lies, and servers that break down, are put in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import attrs

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import decode, encode, thaw
from matrix_membership.errors import MatrixMembershipError
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.diagnosis._causes import Side
from matrix_membership.federation.handshake import JOINING, KNOCKING, LEAVING, Handshake
from matrix_membership.federation.invites import answer as answer_invite
from matrix_membership.federation.invites import draft_invite, offer
from matrix_membership.federation.invites.messages import InviteRequest
from matrix_membership.federation.messages import (
    MakeRequest,
    MakeResponse,
    MatrixError,
    Request,
    SendRequest,
    path_of,
)
from matrix_membership.federation.resident import answer_make, answer_send
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.membership import JOIN
from matrix_membership.redaction import redact
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import Signer
from matrix_membership.strategies.handshakes import _ABOUT_ANSWERS, _ABOUT_TEMPLATES
from tests.builders import ANA, BEN, KEYS
from tests.federation.signed_rooms import AT, A, B, a_signed_room, with_member, with_state

ASKING, ANSWERING, NOBODY, UNKNOWN = Side
Json = dict[str, Any]
Change = Callable[[Any], Any]

CAY: Final = "@cay:c.example"
C: Final = Signer.from_seed("c.example", "ed25519:c", "C" * 42 + "A")
ALL_KEYS: Final = KEYS.with_keys(C.key_ring)
STRANGER: Final = Signer.from_seed("b.example", "ed25519:b", "S" * 42 + "A")


@attrs.frozen
class Transcript:
    """A record of one move, and its fault.

    Attributes:
        name: the fault, and where it is.
        version: the version of the room.
        records: the exchanges, as `read_capture` takes them.
        room: the room as the answering server has it.
        causes: the names of the cause; the first is the usual one.
        fault: the side at fault.
        as_well: another cause that is true too, with its side.
    """

    name: str
    version: RoomVersion
    records: list[Json]
    room: ResidentRoom
    causes: tuple[str, ...]
    fault: Side
    as_well: tuple[str, Side] | None = None

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"


@attrs.frozen
class Play:
    """The script of one handshake: the rooms, and the changes on the way.

    Attributes:
        handshake: the handshake.
        room: the room, when the template is made.
        later: the room, when the event comes; None for the same.
        versions: the versions that the asking server offers.
        user: the user.
        asks: changes the request for the template.
        template: changes the answer with the template.
        event: changes the event that is sent, as JSON.
        sends: changes the request with the event.
        answer: changes the last answer.
        made: in place of the answer to make_*: status and body.
        sent: in place of the answer to send_*: status and body.
        to: the server to which the event is sent; empty for the one that gave the template.
        omit: whether members may be left out.
    """

    handshake: Handshake
    room: ResidentRoom
    later: ResidentRoom | None = None
    versions: tuple[str, ...] = tuple(KNOWN)
    user: str = BEN
    asks: Change = lambda request: request
    template: Change = lambda body: body
    event: Change = lambda pdu: pdu
    sends: Change = lambda request: request
    answer: Change = lambda body: body
    made: tuple[int | None, Any] | None = None
    sent: tuple[int | None, Any] | None = None
    to: str = ""
    omit: bool = False


def played(play: Play) -> list[Json]:
    """The records of a handshake, until an answer ends it."""
    versions = {name: KNOWN[name] for name in play.versions}
    step: Any = play.handshake.begin(
        BEN,
        play.room.room_id,
        signer=B,
        resident="a.example",
        room_versions=versions,
        omit_members=play.omit,
    )
    request = step.request
    if play.user != BEN:
        request = evolve(request, path=request.path.replace("ben%3Ab", "mallory%3Am"))
    request = play.asks(request)
    status, body = play.made or _make(play, request)
    if play.made is None and status == 200:
        body = play.template(body)
    records = [record(request, status, body, play.room.server_name)]
    if status != 200:
        return records
    completed = _signed(play, body)
    if completed is None:
        return records
    pdu = play.event(completed.to_pdu())
    path = (f"{play.room.room_id}", completed.event_id)
    made = evolve(step_request(play, path), body=encode(pdu, strict=False))
    made = play.sends(made)
    status, body = play.sent or _send(play, made, pdu)
    if play.sent is None and status == 200:
        body = play.answer(body)
    return [*records, record(made, status, body, play.to or play.room.server_name)]


def record(request: Request, status: int | None, body: Any, to: str) -> Json:
    """One exchange as a line of a capture."""
    return {
        "method": request.method,
        "uri": request.uri,
        "origin": "b.example",
        "destination": to,
        "request": thaw(request.content) if request.body else None,
        "status": status,
        "response": body,
        "authorization": Authorization.of(request, to, B).headers[0],
    }


def step_request(play: Play, path: tuple[str, str]) -> Request:
    """The send request without its body."""

    asks = play.handshake is JOINING
    query = (("omit_members", "true" if play.omit else "false"),) if asks else ()
    version = play.handshake.send_versions[0]
    return Request("PUT", path_of(version, play.handshake.send, *path), query)


def _signed(play: Play, body: Any) -> Event | None:
    """The event of a server that takes any template: lies shall not stop it."""
    step: Any = play.handshake.begin(
        BEN, play.room.room_id, signer=B, room_versions=KNOWN, omit_members=play.omit
    )

    try:
        signed = step.receive(MakeResponse.from_json(body), at=AT + 1)
    except MatrixMembershipError:
        return None
    event: Event = signed.event
    return event


def _make(play: Play, request: Request) -> tuple[int, Any]:
    parts = request.path.split("/")
    user = parts[-1].replace("%40", "@").replace("%3A", ":")
    versions = tuple(value for name, value in request.query if name == "ver") or ("1",)
    asked = MakeRequest(play.room.room_id, user, "b.example", versions)
    return told(answer_make(play.handshake, asked, play.room, at=AT))


def _send(play: Play, request: Request, pdu: Json) -> tuple[int, Any]:
    room_id, event_id = map(unquote, request.path.split("/")[-2:])
    sent = SendRequest(room_id, event_id, encode(pdu, strict=False), "b.example", play.omit)
    room = play.later or play.room
    signer = A if room.server_name == "a.example" else C
    return told(answer_send(play.handshake, sent, room, signer, keys=ALL_KEYS))


def told(answer: Any) -> tuple[int, Any]:
    """Status and body of an answer."""
    if isinstance(answer, MatrixError):
        return answer.status, answer.to_json()
    response = getattr(answer, "response", answer)
    if hasattr(response, "to_bytes"):
        return 200, thaw(decode(response.to_bytes(), strict=False))
    return 200, response.to_json()


# ------------------------------------------------------------------------------ rooms


def a_room(version: RoomVersion, handshake: Handshake, random: Random) -> ResidentRoom:
    """A room in which the handshake would succeed, with some members."""
    room = a_signed_room(version)
    room = with_state(room, "m.room.join_rules", {"join_rule": "public"})
    if random.random() < 0.5:
        users = {} if version.privileged_creators else {ANA: 100}
        room = with_state(room, "m.room.power_levels", {"users": users, "ban": 60})
    for name in random.sample(["dan", "eve", "fay"], random.randrange(4)):
        room = with_member(room, f"@{name}:a.example", "join")
    if random.random() < 0.5:
        room = with_state(room, "m.room.name", {"name": random.choice(["a", "b"])})
    if handshake is KNOCKING:
        return with_state(room, "m.room.join_rules", {"join_rule": "knock"})
    return invited(room) if handshake is LEAVING else room


def with_user(room: ResidentRoom, membership: str) -> ResidentRoom:
    """The room in which Ana gave Ben a membership."""
    return with_state(room, "m.room.member", {"membership": membership}, state_key=BEN)


invited: Final = partial(with_user, membership="invite")


def restricted(room: ResidentRoom, *, club: Any = JOIN) -> ResidentRoom:
    """The room for members of another one."""
    allow = [{"type": "m.room_membership", "room_id": "!club:a.example"}]
    room = with_state(room, "m.room.join_rules", {"join_rule": "restricted", "allow": allow})
    return evolve(room, memberships=lambda _user, _room: club)


def seen_by_c(room: ResidentRoom) -> ResidentRoom:
    """The room as the server of Cay has it, who is joined and may not invite."""
    room = with_state(
        with_state(room, "m.room.join_rules", {"join_rule": "public"}),
        "m.room.member",
        {"membership": "join"},
        sender=CAY,
        state_key=CAY,
        signer=C,
    )
    users = {} if room.state.room_version.privileged_creators else {ANA: 100}
    room = with_state(room, "m.room.power_levels", {"users": users, "invite": 50})
    return evolve(room, server_name=C.server_name)


# ------------------------------------------------------------------------------ changes


def resigned(version: RoomVersion, change: Change, signer: Signer = B) -> Change:
    """A change of an event that its server hashes and signs again."""

    def changed(pdu: Json) -> Json:
        fields = change(json.loads(json.dumps(pdu)))
        event_id = fields.get("event_id") if version.event_id_in_pdu else None
        return EventTemplate.of(fields, version).complete(signer, event_id=event_id).to_pdu()

    return changed


def also(**fields: Any) -> Change:
    """A change of some fields."""
    return lambda held: {**held, **fields}


def without(*names: str) -> Change:
    """A change that takes fields away."""
    return lambda held: {key: value for key, value in held.items() if key not in names}


def content(**fields: Any) -> Change:
    """A change of the content of an event."""
    return lambda pdu: {**pdu, "content": {**pdu["content"], **fields}}


def without_authoriser(pdu: Json) -> Json:
    """A change that takes the authorising user from a join."""
    kept = without("join_authorised_via_users_server")(pdu["content"])
    return {**pdu, "content": kept}


HTML: Final = None

ERRORS: Final[Mapping[str, tuple[int | None, Any, tuple[str, ...], Side]]] = MappingProxyType(
    {
        "unreachable": (None, "connection refused", ("unreachable",), UNKNOWN),
        "bad gateway": (502, HTML, ("server_failed",), ANSWERING),
        "failure": (500, {"errcode": "M_UNKNOWN", "error": "x"}, ("server_failed",), ANSWERING),
        "no endpoint": (404, HTML, ("no_endpoint",), ANSWERING),
        "unrecognised": (404, {"errcode": "M_UNRECOGNIZED"}, ("no_endpoint",), ANSWERING),
        "no method": (405, HTML, ("no_endpoint",), ANSWERING),
        "too often": (429, {"errcode": "M_LIMIT_EXCEEDED"}, ("rate_limited",), NOBODY),
        "form of nonsense": (200, [], ("malformed_answer",), ANSWERING),
        "text": (200, "hello", ("malformed_answer",), ANSWERING),
    }
)


Make = Callable[[ResidentRoom, Handshake], Play]


class Fault(NamedTuple):
    """A fault: its name, the play with it, the right causes, the side, and other true causes."""

    name: str
    make: Make
    causes: tuple[str, ...]
    side: Side
    as_well: tuple[str, Side] | None = None


def playing(**how: Any) -> Make:
    """A play in the room as it is."""
    return lambda room, handshake: Play(handshake, room, **how)


def in_room(change: Callable[[ResidentRoom], ResidentRoom], **how: Any) -> Make:
    """A play in a changed room."""
    return lambda room, handshake: Play(handshake, change(room), **how)


def meanwhile(change: Callable[[ResidentRoom], ResidentRoom]) -> Make:
    """A play in a room that changes after the template was made."""
    return lambda room, handshake: Play(handshake, room, later=change(room))


def plays(handshake: Handshake, version: RoomVersion) -> Iterator[Fault]:
    """Every fault of a handshake in a version, with the right cause."""
    for name, (status, body, causes, side) in ERRORS.items():
        yield Fault(f"{name} at make", playing(made=(status, body)), causes, side)
        yield Fault(f"{name} at send", playing(sent=(status, body)), causes, side)
    for lie, change in _ABOUT_TEMPLATES.items():
        causes = ("bad_template", "malformed_answer")
        yield Fault(lie, playing(template=change), causes, ANSWERING)
    not_offered = ("version_not_offered",)
    if handshake is not LEAVING and version.identifier != "1":
        yield Fault("no ver", playing(asks=without_query), not_offered, ASKING)
    if handshake is not LEAVING:
        others = tuple(name for name in KNOWN if name != version.identifier)
        yield Fault("other versions", playing(versions=others), not_offered, ASKING)
    told = {"errcode": "M_INCOMPATIBLE_ROOM_VERSION", "room_version": version.identifier}
    if handshake is not LEAVING:
        refused = playing(made=(400, told))
        yield Fault("offered and refused", refused, ("version_refused",), ANSWERING)
    # The rules forbid a leave of somebody who is not there, too.
    as_well = ("rules_forbid", NOBODY) if handshake is LEAVING else None
    yield Fault("user of another server", playing(user="m"), ("not_own_user",), ASKING, as_well)
    for name, change, causes in sent_faults(version):
        yield Fault(name, playing(event=change), causes, ASKING)
    yield Fault("other ID in path", playing(sends=other_path), ("wrong_event",), ASKING)
    yield from forbidden(handshake)


def forbidden(handshake: Handshake) -> Iterator[Fault]:
    """Moves that the rules or the access control list forbid, or that no server can answer."""
    rules = ("rules_forbid",)
    if handshake is LEAVING:
        yield Fault("gone", in_room(partial(with_user, membership="leave")), rules, NOBODY)
    else:
        ban = partial(with_user, membership="ban")
        yield Fault("banned", in_room(ban), rules, NOBODY)
        yield Fault("banned meanwhile", meanwhile(ban), rules, NOBODY)
        yield Fault("not invited", in_room(closed), rules, NOBODY)
    yield Fault("access list", in_room(denying), ("server_acl",), NOBODY)
    yield Fault("access list meanwhile", meanwhile(denying), ("server_acl",), NOBODY)
    yield Fault("not in the room", in_room(elsewhere), ("room_unknown",), ASKING)


def without_query(request: Request) -> Request:
    return evolve(request, query=())


def other_path(request: Request) -> Request:
    head, _, _ = request.path.rpartition("/")
    return evolve(request, path=f"{head}/%24{'x' * 43}")


def closed(room: ResidentRoom) -> ResidentRoom:
    return with_state(room, "m.room.join_rules", {"join_rule": "invite"})


def denying(room: ResidentRoom) -> ResidentRoom:
    lists = {"allow": ["*"], "deny": ["b.example"]}
    return with_state(room, "m.room.server_acl", lists)


def elsewhere(room: ResidentRoom) -> ResidentRoom:
    """The room as a server has it whose users are not joined."""
    return evolve(room, server_name="gone.example")


def sent_faults(version: RoomVersion) -> Iterator[tuple[str, Change, tuple[str, ...]]]:
    """Faults of the event that the asking server sends."""
    yield "altered after hashing", content(reason="x"), ("event_altered",)
    yield "unsigned", also(signatures={}), ("event_unsigned",)
    yield "badly signed", resigned(version, lambda pdu: pdu, STRANGER), ("event_unsigned",)
    wrong = ("wrong_event",)
    yield "another membership", resigned(version, content(membership="ban")), wrong
    yield "another user", resigned(version, also(state_key="@mallory:b.example")), wrong
    yield "another type", resigned(version, also(type="m.room.topic")), wrong
    yield "no PDU", without("hashes"), ("malformed_event",)
    yield "no sender", without("sender"), ("malformed_event",)
    # The event ID changes with it, so the path has another one.
    other = ("wrong_event", "other_references")
    yield "no auth events", resigned(version, also(auth_events=[])), other
    yield "another depth", resigned(version, also(depth=99)), other
    yield "no previous events", resigned(version, also(prev_events=[])), other


# ------------------------------------------------------------------------------ answers


def in_chain(change: Callable[[list[Json]], list[Json]]) -> Change:
    return lambda body: {**body, "auth_chain": change(body["auth_chain"])}


def in_state(change: Callable[[list[Json]], list[Json]]) -> Change:
    return lambda body: {**body, "state": change(body["state"])}


def answers(version: RoomVersion) -> Iterator[Fault]:
    """Faults of the answer to a join, by the answering server."""
    expected = {
        "no create event": ("no_create_event",),
        "unsigned create event": ("bad_signature",),
        # Where its ID is a hash, it is another event, and in version 12 one of another room.
        "altered create event": (
            "bad_signature",
            "missing_auth_event",
            "other_room",
            # Without keys its content is seen to be altered, in which the version stood.
            "bad_hash",
            "other_room_version",
        ),
        "no join rules": ("missing_auth_event",),
        "unsigned join rules": ("bad_signature",),
        "altered join rules": ("bad_signature", "missing_auth_event"),
        "unsigned member": ("bad_signature",),
        "altered member": ("bad_signature", "missing_auth_event"),
        "altered join": ("altered_join",),
        "members omitted without servers": ("members_omitted_unasked", "no_servers_in_room"),
        "no state": ("malformed_answer",),
        "nothing": ("malformed_answer",),
    }
    told: list[tuple[str, Change, tuple[str, ...]]] = [
        (lie, change, expected[lie]) for lie, change in _ABOUT_ANSWERS.items()
    ]
    omitted = also(members_omitted=True, servers_in_room=["a.example"])
    told += [
        ("members omitted", omitted, ("members_omitted_unasked",)),
        ("a state of text", also(state=["x"]), ("malformed_answer", "no_create_event")),
        ("no event of the format", in_state(lambda held: [*held, {"type": "x"}]), ("malformed",)),
        (
            "a create event of no format",
            in_state(lambda held: [without("sender")(held[0]), *held[1:]]),
            ("malformed",),
        ),
        ("another join", also(event={"type": "x"}), ("altered_join",)),
        (
            "altered content",
            everywhere("m.room.member", ANA, content(displayname="x")),
            ("bad_hash",),
        ),
        (
            "two create events",
            in_state(lambda held: [*held, second_create(held, version)]),
            # In version 12 the ID of the second one is that of another room.
            ("two_create_events", "other_room"),
        ),
        (
            "an event of another room",
            in_state(lambda held: [*held, foreign(version)]),
            ("other_room",),
        ),
        (
            "a message in the state",
            in_state(lambda held: [*held, message(held, version)]),
            ("no_state",),
        ),
    ]
    too_few = also(servers_in_room=["a.example"])
    # Up to version 2 the member of another server would need two signatures.
    if not version.event_id_in_pdu:
        told += [("too few servers", too_few, ("server_untold",))]
    for name, change, causes in told:
        yield Fault(name, answering(change, named_by_c=change is too_few), causes, ANSWERING)
    adding: tuple[tuple[str, Callable[[ResidentRoom], ResidentRoom], tuple[str, ...]], ...] = (
        ("a banned user", lambda room: with_user(room, "ban"), ("join_rejected",)),
        ("a second name", lambda room: named(named(room, "x"), "y"), ("same_place",)),
        # Up to version 2 its ID is one of the server that gives it away.
        ("a topic by a stranger", topic_by_a_stranger, ("rejected", "bad_signature")),
    )
    for name, adds, causes in adding:
        yield Fault(name, partial(added, adds), causes, ANSWERING)
    yield Fault("the state after the join", after_join, ("after_join",), UNKNOWN)
    yield Fault("a chain that goes on", replaced, ("replaced",), UNKNOWN)
    yield Fault("a place that is empty", emptied, ("absent_from_state",), UNKNOWN)
    yield Fault("a redacted name", redacted_name, ("redacted_form",), UNKNOWN)


def answering(change: Change, *, named_by_c: bool = False) -> Make:
    """A play in which the last answer is changed, in a room with another server perhaps."""
    return lambda room, handshake: Play(
        handshake, seen_by_a(room) if named_by_c else room, answer=change
    )


def added(
    adds: Callable[[ResidentRoom], ResidentRoom], room: ResidentRoom, handshake: Handshake
) -> Play:
    """A play in which the state of the answer has further events."""
    return Play(handshake, room, answer=with_events(room, adds(room)))


def everywhere(event_type: str, state_key: str, change: Change) -> Change:
    """A change of one event, in state and auth chain."""

    def changed(held: list[Json]) -> list[Json]:
        place = event_type, state_key
        return [change(e) if (e["type"], e.get("state_key")) == place else e for e in held]

    return lambda body: in_chain(changed)(in_state(changed)(body))


def topic_by_a_stranger(room: ResidentRoom) -> ResidentRoom:
    """The room with a topic that the rules reject."""
    return with_state(room, "m.room.topic", {"topic": "x"}, sender=CAY, signer=C)


def named(room: ResidentRoom, name: str) -> ResidentRoom:
    """The room with another name."""
    return with_state(room, "m.room.name", {"name": name})


def events_after(before: ResidentRoom, after: ResidentRoom) -> list[Json]:
    """The events that came since, the oldest first."""
    found: list[Json] = []
    newest = after.prev_events
    while newest != before.prev_events:
        event = after.get_event(newest[0])
        assert event is not None
        found.insert(0, event.to_pdu())
        newest = event.prev_events
    return found


def with_events(before: ResidentRoom, after: ResidentRoom) -> Change:
    """A change of an answer that adds to its state what came since."""
    return in_state(lambda held: [*held, *events_after(before, after)])


def after_join(room: ResidentRoom, handshake: Handshake) -> Play:
    """The answer has the join in its state."""
    return Play(handshake, room, answer=lambda body: in_state(lambda h: [*h, body["event"]])(body))


def replaced(room: ResidentRoom, handshake: Handshake) -> Play:
    """The answer has in its chain what replaced an event of its state."""
    users = {} if room.state.room_version.privileged_creators else {ANA: 100}
    later = with_state(room, "m.room.power_levels", {"users": users, "ban": 70})
    last = with_state(later, "m.room.power_levels", {"users": users, "ban": 80})
    first, second = events_after(room, last)
    return Play(
        handshake,
        later,
        answer=in_chain(lambda held: [*held, first, second]),
    )


def emptied(room: ResidentRoom, handshake: Handshake) -> Play:
    """The answer has an event in its chain whose place in the state is empty."""
    later = with_state(room, "m.room.topic", {"topic": "x"})
    return Play(handshake, room, answer=in_chain(lambda held: [*held, *events_after(room, later)]))


def redacted_name(room: ResidentRoom, handshake: Handshake) -> Play:
    """The answer has an event as redaction leaves it."""
    later = named(room, "x")
    [event] = events_after(room, later)
    kept = redact(event, room.state.room_version)
    return Play(handshake, later, answer=everywhere("m.room.name", "", lambda _: kept))


def completed(fields: Json, version: RoomVersion, signer: Signer = A) -> Json:
    """An event of these fields, signed."""
    event_id = f"$made{len(json.dumps(fields))}:a.example" if version.event_id_in_pdu else None
    return EventTemplate.of(fields, version).complete(signer, event_id=event_id).to_pdu()


def second_create(held: list[Json], version: RoomVersion) -> Json:
    create = next(event for event in held if event["type"] == "m.room.create")
    fields = {key: value for key, value in create.items() if key != "event_id"}
    if version.room_id_is_create_event:
        # Its ID would be that of another room.
        return completed({**fields, "room_id": "!" + "x" * 43, "state_key": ""}, version)
    return completed({**fields, "origin_server_ts": AT + 5}, version)


def foreign(version: RoomVersion) -> Json:
    room = a_signed_room(version)
    other = "!" + "z" * 43 if version.room_id_is_create_event else "!other:a.example"
    event = room.state.get("m.room.member", ANA)
    assert event is not None
    return completed({**event.to_pdu(), "room_id": other}, version)


def message(held: list[Json], version: RoomVersion) -> Json:
    member = next(event for event in held if event["type"] == "m.room.member")
    fields = {**without("state_key", "event_id")(member), "type": "m.room.message"}
    return completed({**fields, "content": {"body": "x"}}, version)


# ------------------------------------------------------------------------------ all


def restricted_plays(version: RoomVersion) -> Iterator[Fault]:
    """Faults of joins to a restricted room."""
    left_out = resigned(version, without_authoriser)
    causes = ("authoriser_left_out", "wrong_event")
    yield Fault("authoriser left out", in_room(restricted, event=left_out), causes, ASKING)
    yield Fault("sent to another server", sent_to_c, ("wrong_destination",), ASKING)
    for name, change in (("no join", without("event")), ("taken away", uncountersigned)):
        made = in_room(restricted, answer=change)
        yield Fault(f"countersignature: {name}", made, ("not_countersigned",), ANSWERING)
    unseen = partial(restricted, club=None)
    yield Fault("cannot look", in_room(unseen), ("cannot_authorise",), NOBODY)
    yield Fault("cannot grant", in_room(restricted_by_c), ("cannot_grant",), NOBODY)
    refused = ("grant_refused",)
    for code in ("M_UNABLE_TO_GRANT_JOIN", "M_UNABLE_TO_AUTHORISE_JOIN"):
        told = (400, {"errcode": code, "error": "x"})
        yield Fault(f"{code} without need", playing(made=told), refused, ANSWERING)
    told = (400, {"errcode": "M_UNABLE_TO_GRANT_JOIN", "error": "x"})
    yield Fault("cannot grant, it says", in_room(restricted, made=told), refused, ANSWERING)


def sent_to_c(room: ResidentRoom, handshake: Handshake) -> Play:
    """The join goes to a server whose user does not authorise it."""
    here, there = restricted(seen_by_a(room)), restricted(seen_by_c(room))
    return Play(handshake, here, later=there, to="c.example")


def seen_by_a(room: ResidentRoom) -> ResidentRoom:
    return evolve(seen_by_c(room), server_name=A.server_name)


def restricted_by_c(room: ResidentRoom) -> ResidentRoom:
    """A restricted room, asked through a server whose user may not invite."""
    return restricted(seen_by_c(room))


def uncountersigned(body: Json) -> Json:
    event = body["event"]
    signatures = {"b.example": event["signatures"]["b.example"]}
    return {**body, "event": {**event, "signatures": signatures}}


def knock_answers() -> Iterator[Fault]:
    """Faults of the answer to a knock."""

    def unsigned(body: Json) -> Json:
        return {"knock_room_state": [*map(also(signatures={}), body["knock_room_state"])]}

    state = ("knock_state",)
    yield Fault("unsigned description", answering(unsigned), state, ANSWERING)
    yield Fault("no events", answering(also(knock_room_state=[])), state, ANSWERING)
    yield Fault("no description", answering(lambda _: {}), ("malformed_answer",), ANSWERING)


def transcripts(seed: int, versions: tuple[RoomVersion, ...]) -> Iterator[Transcript]:
    """Every fault in every one of these versions, in rooms that the seed draws."""
    random = Random(seed)
    for version in versions:
        faults: list[tuple[Handshake, Fault]] = [
            (handshake, fault)
            for handshake in (JOINING, KNOCKING, LEAVING)
            if handshake is not KNOCKING or version.knocking
            for fault in plays(handshake, version)
        ]
        faults += [(JOINING, fault) for fault in answers(version)]
        if version.restricted_joins:
            faults += [(JOINING, fault) for fault in restricted_plays(version)]
        if version.knocking:
            faults += [(KNOCKING, fault) for fault in knock_answers()]
        for handshake, (name, make, causes, side, as_well) in faults:
            room = a_room(version, handshake, random)
            play = make(room, handshake)
            yield Transcript(
                f"{handshake.membership}: {name}",
                version,
                played(play),
                play.later or play.room,
                causes,
                side,
                as_well,
            )
        yield from invite_transcripts(version, random)


# ------------------------------------------------------------------------------ invites


def invite_transcripts(version: RoomVersion, random: Random) -> Iterator[Transcript]:
    """Faults of invites: Ana's server asks Ben's to sign."""
    room = a_room(version, JOINING, random)
    for name, change, reply, causes, side in invite_faults(version):
        event = draft_invite(ANA, BEN, room, at=AT).complete(A, event_id=_own_id(version))
        offered: Any = offer(event, room.state)
        body = change(json.loads(json.dumps(thaw(offered.request.content))))
        request = evolve(offered.request, body=encode(body, strict=False))
        status, answer = reply(body, offered, version)
        yield Transcript(
            f"invite: {name}",
            version,
            [
                {
                    "method": "PUT",
                    "uri": request.uri,
                    "origin": "a.example",
                    "destination": "b.example",
                    "request": body,
                    "status": status,
                    "response": answer,
                }
            ],
            room,
            causes,
            side,
        )


def _own_id(version: RoomVersion) -> str | None:
    return "$invite:a.example" if version.event_id_in_pdu else None


Reply = Callable[[Json, Any, RoomVersion], tuple[int | None, Any]]


def answered(body: Json, offered: Any, version: RoomVersion) -> tuple[int, Any]:
    """The answer of Ben's server."""
    request = InviteRequest.from_json(
        body,
        room_id=offered.event.room_id,
        event_id=offered.event.event_id,
        origin="a.example",
    )
    answer = answer_invite(request, B, keys=ALL_KEYS)
    return told(answer)


def lying(change: Change) -> Reply:
    def reply(body: Json, offered: Any, version: RoomVersion) -> tuple[int, Any]:
        status, answer = answered(body, offered, version)
        return status, change(json.loads(json.dumps(answer)))

    return reply


def saying(status: int | None, body: Any) -> Reply:
    return lambda *_: (status, body)


def in_invite(change: Change) -> Change:
    return lambda body: {**body, "event": change(body["event"])}


def resigned_by_a(version: RoomVersion, change: Change) -> Change:
    return in_invite(resigned(version, change, A))


def invite_faults(
    version: RoomVersion,
) -> Iterator[tuple[str, Change, Reply, tuple[str, ...], Side]]:
    """Every fault of an invite."""
    same: Change = lambda body: body  # noqa: E731 - the annotation types its argument
    yield "good", same, answered, ("",), NOBODY
    for name, (status, body, causes, side) in ERRORS.items():
        yield name, same, saying(status, body), causes, side
    unsigned = in_invite(also(signatures={}))
    yield "unsigned", unsigned, answered, ("event_unsigned",), ASKING
    forged = in_invite(
        resigned(
            version, lambda pdu: pdu, Signer.from_seed("a.example", "ed25519:a", "S" * 42 + "A")
        )
    )
    yield "badly signed", forged, answered, ("event_unsigned",), ASKING
    yield "altered", in_invite(content(reason="x")), answered, ("event_altered",), ASKING
    yield "no PDU", in_invite(without("hashes")), answered, ("malformed_event",), ASKING
    wrong = ("wrong_event",)
    yield "a join", resigned_by_a(version, content(membership="join")), answered, wrong, ASKING
    yield "of a stranger", resigned_by_a(version, also(state_key=CAY)), answered, wrong, ASKING
    yield (
        "altered answer",
        same,
        lying(in_invite(content(reason="y"))),
        ("invite_altered",),
        ANSWERING,
    )
    other = lying(in_invite(resigned(version, also(depth=77))))
    yield "another invite", same, other, ("invite_altered",), ANSWERING
    bare = lying(
        in_invite(lambda pdu: {**pdu, "signatures": without("b.example")(pdu["signatures"])})
    )
    yield "not signed", same, bare, ("invite_unsigned",), ANSWERING
    no_version = {"errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "x", "room_version": "z"}
    yield "version", same, saying(400, no_version), ("version_unsupported",), ANSWERING
    blocked = {"errcode": "M_INVITE_BLOCKED", "error": "x"}
    yield "blocked", same, saying(403, blocked), ("invite_blocked",), NOBODY
    if version.room_id_is_create_event:
        stripped: Change = lambda body: {**body, "invite_room_state": []}  # noqa: E731 - the annotation types its argument
        yield "no description", stripped, answered, ("invite_state",), ASKING
