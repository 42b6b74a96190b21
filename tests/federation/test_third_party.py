"""Third-party invites: the sender's server, the identity server, the invited user's server."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership.canonical_json import freeze
from matrix_membership.errors import LocalProtocolError
from matrix_membership.events import Event
from matrix_membership.federation import invites
from matrix_membership.federation.invites.messages import (
    ExchangeRequest,
    OnBindRequest,
    PendingInvite,
    StoredInvite,
)
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.federation.third_party import (
    AwaitingValidity,
    KeyValidity,
    answer_exchange,
    answer_on_bind,
    exchange,
    redeem,
    revoke,
    store,
)
from matrix_membership.identifiers import UserID
from matrix_membership.machine import admit
from matrix_membership.room_versions import V5, V10, V11, V12, RoomVersion
from matrix_membership.signing import Signer, sign_json
from matrix_membership.state import RoomState
from tests.builders import ANA, BEN, IDENTITY, VERSIONS
from tests.federation.signed_rooms import (
    AT,
    A,
    B,
    a_signed_room,
    after,
    seen_from,
    with_member,
    with_state,
)

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
CARL = "@carl:b.example"
TOKEN = "token"

EPHEMERAL = Signer.from_seed("id.example", "ed25519:1", "E" * 42 + "A")
STRANGER = Signer.from_seed("id.example", "ed25519:0", "S" * 42 + "A")
LASTING: dict[str, Any] = {
    "public_key": IDENTITY.verify_key,
    "key_validity_url": "https://i.example/valid",
}
PASSING = {"public_key": EPHEMERAL.verify_key, "key_validity_url": "https://i.example/ephemeral"}
STORED = StoredInvite.from_json(
    {"token": TOKEN, "public_keys": [LASTING, PASSING], "display_name": "b..."}
)
LASTS = KeyValidity("https://i.example/valid", IDENTITY.verify_key)
PASSES = KeyValidity("https://i.example/ephemeral", EPHEMERAL.verify_key)
VALID = {"valid": True}


def a_room(version: RoomVersion = V11, **content: Any) -> ResidentRoom:
    """A room with a third-party invite; its content is what the arguments say, if they do."""
    if content:
        content["display_name"] = "b..."
        room = a_signed_room(version)
        return with_state(room, "m.room.third_party_invite", content, state_key=TOKEN)
    room = a_signed_room(version)
    event = store(STORED, ANA, room, A, at=AT)
    assert isinstance(event, Event)
    return after(room, event)


def pending(
    room: ResidentRoom,
    *signers: Signer,
    mxid: str = BEN,
    sender: str = ANA,
    **signed: Any,
) -> PendingInvite:
    """What the identity server hands over, signed by it unless the arguments say by whom."""
    word: dict[str, Any] = {"mxid": mxid, "token": TOKEN, **signed}
    for signer in signers or (IDENTITY,):
        word = sign_json(word, signer)
    body = {"medium": "email", "address": "ben@example.org", "mxid": mxid}
    return PendingInvite.from_json(
        {**body, "room_id": room.room_id, "sender": sender, "signed": word}
    )


def awaiting(room: ResidentRoom, invite: PendingInvite) -> AwaitingValidity:
    step = answer_exchange(exchange(invite), room, A, at=AT)
    assert isinstance(step, AwaitingValidity)
    return step


def refused(room: ResidentRoom | None, request: ExchangeRequest) -> MatrixError:
    step = answer_exchange(request, room, A, at=AT)
    assert isinstance(step, MatrixError)
    return step


def number_of(outcome: object) -> str:
    """The number of the rule behind a refusal."""
    assert isinstance(outcome, MatrixError)
    assert outcome.errcode == "M_FORBIDDEN"
    assert outcome.decision is not None
    return outcome.decision.number


class TestStore:
    @EVERY_VERSION
    def test_puts_the_answer_into_the_room(self, version: RoomVersion) -> None:
        event = store(STORED, ANA, a_signed_room(version), A, at=AT)
        assert isinstance(event, Event)
        assert (event.type, event.state_key) == ("m.room.third_party_invite", TOKEN)
        assert event.content == freeze(
            {**LASTING, "display_name": "b...", "public_keys": [LASTING, PASSING]}
        )

    def test_gives_older_servers_a_key_that_can_be_used(self) -> None:
        bad = {"public_key": "?", "key_validity_url": "https://bad.example"}
        stored = StoredInvite(TOKEN, freeze([bad, {"public_key": EPHEMERAL.verify_key}]), "b...")
        event = store(stored, ANA, a_signed_room(V11), A, at=AT)
        assert isinstance(event, Event)
        assert event.content["public_key"] == EPHEMERAL.verify_key
        assert "key_validity_url" not in event.content

    def test_is_refused_by_the_rules(self) -> None:
        room = with_state(a_signed_room(V11), "m.room.power_levels", {"invite": 50})
        assert number_of(store(STORED, ANA, room, A, at=AT)) == "6.1"

    def test_refuses_what_no_event_can_hold(self) -> None:
        stored = StoredInvite(TOKEN, freeze([{**LASTING, "x": 1.5}]), "b...")
        error = store(stored, ANA, a_signed_room(V11), A, at=AT)
        assert isinstance(error, MatrixError)
        assert error.errcode == "M_BAD_JSON"


class TestRevoke:
    @EVERY_VERSION
    def test_leaves_no_key(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = revoke(TOKEN, ANA, room, A, at=AT)
        assert isinstance(event, Event)
        assert (event.state_key, event.content) == (TOKEN, {})
        revoked = after(room, event)
        assert isinstance(redeem(pending(room), revoked, A, at=AT), MatrixError)

    def test_may_be_by_another_user(self) -> None:
        room = with_member(a_room(), CARL, "join")
        event = revoke(TOKEN, CARL, seen_from(room, B), B, at=AT)
        assert isinstance(event, Event)
        assert admit(event, room.state)

    def test_is_refused_by_the_rules(self) -> None:
        assert number_of(revoke(TOKEN, BEN, a_room(), A, at=AT)) == "5"

    @pytest.mark.parametrize("token", ["another", TOKEN])
    def test_finds_nothing_to_revoke(self, token: str) -> None:
        room = a_room()
        event = revoke(TOKEN, ANA, room, A, at=AT)
        assert isinstance(event, Event)
        sentence = "the room does not have this third-party invite"
        error = revoke(token, ANA, after(room, event), A, at=AT)
        assert error == MatrixError.of("M_NOT_FOUND", sentence)


class TestBound:
    def test_asks_the_inviting_server(self) -> None:
        room = a_room()
        invite = pending(room)
        request = on_bind(invite)
        assert answer_on_bind(request, {}, B, at=AT) == (exchange(invite),)

    def test_asks_it_too_while_joining_the_room(self) -> None:
        room = a_room()
        partial = ResidentRoom(
            B.server_name, RoomState.of(V11, [], partial=True), (), 0, room.get_event
        )
        invite = pending(room)
        outcomes = answer_on_bind(on_bind(invite), {room.room_id: partial}, B, at=AT)
        assert outcomes == (exchange(invite),)

    @EVERY_VERSION
    def test_invites_by_itself_in_a_room_that_it_is_in(self, version: RoomVersion) -> None:
        room = a_room(version)
        request = on_bind(pending(room))
        outcomes = answer_on_bind(request, {room.room_id: seen_from(room, B)}, B, at=AT)
        assert isinstance(outcomes, tuple)
        (event,) = outcomes
        assert isinstance(event, Event)
        assert (event.sender, event.state_key) == (ANA, BEN)
        assert event.signed_by == {"b.example"}
        assert admit(event, room.state)

    def test_does_each_invite_on_its_own(self) -> None:
        room = a_room()
        foreign = pending(room, mxid=CARL)
        outcomes = answer_on_bind(on_bind(foreign, pending(room)), {}, B, at=AT)
        error = MatrixError.of("M_INVALID_PARAM", f"the invite is not for {BEN}")
        assert outcomes == (error, exchange(pending(room)))

    def test_takes_no_word_on_another_user(self) -> None:
        room = a_room()
        invite = pending(room)
        about_carl = saying(invite, {"mxid": CARL})
        error = MatrixError.of("M_INVALID_PARAM", f"the invite is not for {BEN}")
        assert answer_on_bind(on_bind(about_carl), {}, B, at=AT) == (error,)

    def test_refuses_users_of_other_servers(self) -> None:
        error = MatrixError.of("M_INVALID_PARAM", f"{BEN} is not a user of a.example")
        assert answer_on_bind(on_bind(), {}, A, at=AT) == error


def on_bind(*pending_: PendingInvite) -> OnBindRequest:
    return OnBindRequest("email", "ben@example.org", UserID(BEN), pending_)


class TestRedeem:
    def test_shows_the_name_that_stands_in_the_room(self) -> None:
        room = a_room()
        event = redeem(pending(room), room, A, at=AT)
        assert isinstance(event, Event)
        invite = {"display_name": "b...", "signed": pending(room).signed}
        assert event.content == freeze({"membership": "invite", "third_party_invite": invite})

    def test_shows_no_name_when_the_room_has_none(self) -> None:
        content = {"public_key": IDENTITY.verify_key, "display_name": 1}
        room = with_state(a_signed_room(V11), "m.room.third_party_invite", content, state_key=TOKEN)
        event = redeem(pending(room), room, A, at=AT)
        assert isinstance(event, Event)
        assert "display_name" not in event.content["third_party_invite"]

    @pytest.mark.parametrize(
        ("change", "number"),
        [
            ({"token": "another"}, "4.4.1.5"),
            ({"token": 1}, "4.4.1.5"),
            ({"mxid": CARL}, "4.4.1.4"),
        ],
    )
    def test_is_refused_by_the_rules(self, change: dict[str, Any], number: str) -> None:
        room = a_room()
        signed = sign_json({"mxid": BEN, "token": TOKEN, **change}, IDENTITY)
        invite = saying(pending(room), signed)
        assert number_of(redeem(invite, room, A, at=AT)) == number

    def test_does_not_make_a_member_an_invited_user(self) -> None:
        room = with_member(a_room(), BEN, "join")
        error = redeem(pending(room), room, A, at=AT)
        assert error == MatrixError.of("M_FORBIDDEN", f"{BEN} is joined already")

    def test_refuses_a_banned_user(self) -> None:
        room = with_member(a_room(), BEN, "ban")
        assert number_of(redeem(pending(room), room, A, at=AT)) == "4.4.1.1"


def saying(invite: PendingInvite, signed: dict[str, Any]) -> PendingInvite:
    """The pending invite with another word of the identity server."""
    return PendingInvite(
        invite.medium, invite.address, invite.mxid, invite.room_id, invite.sender, freeze(signed)
    )


class TestExchange:
    def test_says_what_is_known(self) -> None:
        room = a_room()
        invite = pending(room)
        request = exchange(invite)
        assert (request.destination, request.origin) == ("a.example", "b.example")
        third_party = {"display_name": BEN, "signed": invite.signed}
        assert request.event["content"] == freeze(
            {"membership": "invite", "third_party_invite": third_party}
        )

    def test_gives_the_name_that_the_caller_chose(self) -> None:
        request = exchange(pending(a_room()), display_name="Ben")
        assert request.event["content"]["third_party_invite"]["display_name"] == "Ben"


class TestAnswerExchange:
    @EVERY_VERSION
    def test_ends_in_an_invite_to_offer(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = awaiting(room, pending(room)).receive({LASTS: VALID})
        assert isinstance(event, Event)
        assert event.content["third_party_invite"]["display_name"] == "b..."
        assert isinstance(invites.offer(event, room.state), invites.Offered)

    def test_needs_to_ask_for_the_key_that_signed(self) -> None:
        room = a_room()
        assert awaiting(room, pending(room)).needs == (LASTS,)
        assert awaiting(room, pending(room, EPHEMERAL)).needs == (PASSES,)
        assert awaiting(room, pending(room, EPHEMERAL, IDENTITY)).needs == (LASTS, PASSES)

    def test_passes_bad_signatures_over(self) -> None:
        room = a_room()
        assert awaiting(room, pending(room, STRANGER, EPHEMERAL)).needs == (PASSES,)

    @pytest.mark.parametrize("keys", [None, "x", [], ["x", {"public_key": "x"}]])
    def test_asks_for_the_key_of_older_servers(self, keys: Any) -> None:
        room = a_room(V11, **LASTING, public_keys=keys)
        assert awaiting(room, pending(room)).needs == (LASTS,)

    def test_takes_a_key_in_the_url_safe_alphabet(self) -> None:
        safe = IDENTITY.verify_key.replace("+", "-").replace("/", "_")
        room = a_room(public_keys=[{**LASTING, "public_key": safe}])
        assert awaiting(room, pending(room)).needs == (KeyValidity(LASTS.url, safe),)

    def test_asks_nothing_for_a_key_that_nobody_can_revoke(self) -> None:
        room = a_room(public_keys=[{"public_key": IDENTITY.verify_key}])
        step = awaiting(room, pending(room))
        assert (step.needs, step.is_settled) == ((), True)
        assert step.receive({}) is step.event

    def test_asks_when_one_of_two_entries_names_a_place(self) -> None:
        room = a_room(public_key=IDENTITY.verify_key, public_keys=[LASTING])
        step = awaiting(room, pending(room))
        assert (step.needs, step.is_settled) == ((LASTS,), False)

    @pytest.mark.parametrize("url", [1, "", "file:///etc", "ftp://i.example"])
    def test_asks_at_no_other_place_than_a_web_server(self, url: Any) -> None:
        room = a_room(public_keys=[{**LASTING, "key_validity_url": url}])
        step = awaiting(room, pending(room))
        assert (step.needs, step.is_settled) == ((), False)
        assert isinstance(step.receive({}), MatrixError)

    def test_verifies_the_word_of_the_identity_server(self) -> None:
        room = a_room()
        assert number_of(refused(room, exchange(pending(room, STRANGER)))) == "4.4.1.8"

    def test_knows_when_the_invite_was_revoked(self) -> None:
        room = a_room()
        event = revoke(TOKEN, ANA, room, A, at=AT)
        assert isinstance(event, Event)
        assert number_of(refused(after(room, event), exchange(pending(room)))) == "4.4.1.8"

    def test_compares_the_sender_with_the_one_who_invited(self) -> None:
        room = with_member(a_room(), "@al:a.example", "join")
        request = exchange(pending(room, sender="@al:a.example"))
        assert number_of(refused(room, request)) == "4.4.1.6"

    @pytest.mark.parametrize("version", [V5, V10, V12], ids=str)
    def test_refuses_an_object_without_a_token(self, version: RoomVersion) -> None:
        room = a_room(version)
        signed = sign_json({"mxid": BEN}, IDENTITY)
        request = exchange(saying(pending(room), signed))
        assert number_of(refused(room, request)).endswith(".1.3")

    def test_refuses_what_no_event_can_hold(self) -> None:
        room = a_room()
        error = refused(room, exchange(pending(room, x=1.5)))
        assert error.errcode == "M_BAD_JSON"

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"type": "m.x"}, "its type is not m.room.member"),
            ({"room_id": "!x:a"}, "its room is not the one in the path"),
            ({"content": {"membership": "join"}}, "its membership is not invite"),
            ({"content": {"membership": "invite"}}, "it has no third_party_invite"),
            ({"sender": "ana"}, "its sender is not a user ID"),
            ({"state_key": "ben"}, "its state key is not a user ID"),
        ],
    )
    def test_refuses_another_request(self, change: dict[str, Any], sentence: str) -> None:
        room = a_room()
        request = exchange(pending(room))
        changed = ExchangeRequest(
            request.room_id, request.origin, freeze({**request.event, **change})
        )
        expected = MatrixError.of("M_INVALID_PARAM", f"the exchange was refused: {sentence}")
        assert refused(room, changed) == expected

    def test_refuses_in_a_room_that_it_cannot_speak_of(self) -> None:
        room = a_room()
        request = exchange(pending(room))
        expected = MatrixError.of(
            "M_NOT_FOUND", f"this server does not know the state of {room.room_id}"
        )
        other = a_signed_room(V12)
        partial = ResidentRoom(
            A.server_name,
            RoomState.of(V11, room.state.events, partial=True),
            (),
            0,
            room.get_event,
        )
        assert [refused(where, request) for where in (None, other, partial)] == [expected] * 3

    def test_refuses_to_speak_for_another_servers_user(self) -> None:
        room = with_member(a_room(), CARL, "join")
        error = refused(room, exchange(pending(room, sender=CARL)))
        assert error == MatrixError.of("M_FORBIDDEN", f"{CARL} is not a user of a.example")

    def test_takes_nothing_else_from_the_request(self) -> None:
        room = a_room()
        request = exchange(pending(room))
        third_party = {**request.event["content"]["third_party_invite"], "x": 1}
        content = {"membership": "invite", "third_party_invite": third_party, "y": 1}
        more = ExchangeRequest(
            request.room_id, "b.example", freeze({**request.event, "content": content})
        )
        step = answer_exchange(more, room, A, at=AT)
        assert isinstance(step, AwaitingValidity)
        assert step.event == awaiting(room, pending(room)).event


class TestAwaitingValidity:
    @pytest.mark.parametrize(
        "answers",
        [
            {},
            {LASTS: None},
            {LASTS: {}},
            {LASTS: {"valid": False}},
            {LASTS: {"valid": 1}},
            {LASTS: []},
        ],
    )
    def test_refuses_without_a_good_answer(self, answers: dict[KeyValidity, Any]) -> None:
        room = a_room()
        sentence = "no key that signed is known to be still valid"
        error = awaiting(room, pending(room)).receive(answers)
        assert error == MatrixError.of("M_FORBIDDEN", sentence)

    def test_is_content_with_one_good_answer(self) -> None:
        room = a_room()
        step = awaiting(room, pending(room, EPHEMERAL, IDENTITY))
        assert step.receive({LASTS: {"valid": False}, PASSES: VALID}) is step.event

    def test_takes_no_answer_to_another_question(self) -> None:
        room = a_room()
        with pytest.raises(LocalProtocolError) as raised:
            awaiting(room, pending(room)).receive({PASSES: VALID})
        assert raised.value == LocalProtocolError("answers to needs", PASSES)


class TestKeyValidity:
    @pytest.mark.parametrize(
        ("url", "uri"),
        [
            ("https://i.example/valid", "https://i.example/valid?public_key=a%2Bb"),
            ("https://i.example/?x=1", "https://i.example/?x=1&public_key=a%2Bb"),
            ("https://i.example/#x", "https://i.example/?public_key=a%2Bb"),
        ],
    )
    def test_is_asked_for_by_the_key(self, url: str, uri: str) -> None:
        assert KeyValidity(url, "a+b").uri == uri
