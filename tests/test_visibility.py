from __future__ import annotations

import pickle
from typing import Any

import pytest

from matrix_membership import Event, Membership, RoomState
from matrix_membership.errors import InvalidEvent, InvalidIdentifier, InvalidMessage
from matrix_membership.room_versions import V1, V11, V12
from matrix_membership.visibility import (
    client_timeline,
    guests_can_join,
    list_members,
    may_see,
    readable_state,
    timeline,
)
from matrix_membership.visibility.seeing import (
    HistoryVisibility,
    Reason,
    Visibility,
    history_visibility,
)
from tests.builders import ANA, BEN, CAY, DAN, Room, a_room

BAN, INVITE, JOIN, KNOCK, LEAVE = (
    Membership.BAN,
    Membership.INVITE,
    Membership.JOIN,
    Membership.KNOCK,
    Membership.LEAVE,
)
WORLD_READABLE, SHARED, INVITED, JOINED = HistoryVisibility
PLACE = "m.room.history_visibility"
VALUES = [str(value) for value in HistoryVisibility]


def a_visible_room(value: Any, *, version: Any = V11, ben: Membership | None = None) -> Room:
    """A room with a history visibility; None for none."""
    room = a_room(version)
    if value is not None:
        room = room.with_content(PLACE, {"history_visibility": value})
    return room if ben is None else room.with_member(BEN, ben)


def seen(
    room: Room, now: Room | None = None, *, event: Event | None = None, by: str = BEN
) -> Visibility:
    """Tell whether Ben sees a message, or another event, of Ana."""
    asked = room.message(ANA) if event is None else event
    return may_see(by, asked, room.state, (room if now is None else now).state)


class TestHistoryVisibility:
    @pytest.mark.parametrize("value", VALUES)
    def test_is_what_the_room_says(self, value: str) -> None:
        assert str(history_visibility(a_visible_room(value).state)) == value

    @pytest.mark.parametrize("value", [None, "", "SHARED", "private", 5, [], {"shared": 1}, True])
    def test_is_shared_if_unset_or_not_understood(self, value: Any) -> None:
        assert history_visibility(a_visible_room(value).state) is SHARED

    def test_is_kept_by_redaction(self) -> None:
        room = a_visible_room("joined")
        redacted = a_room(V11).with_state(room.events[-1].redacted())
        assert history_visibility(redacted.state) is JOINED

    def test_has_an_empty_state_key(self) -> None:
        room = a_room(V11).with_content(PLACE, {"history_visibility": "joined"}, "elsewhere")
        assert history_visibility(room.state) is SHARED


class TestMaySee:
    """By a user, of a message: the memberships at it, and now."""

    @pytest.mark.parametrize("value", VALUES)
    def test_shows_all_to_a_joined_user(self, value: str) -> None:
        reason = Reason.WORLD_READABLE if value == "world_readable" else Reason.JOINED
        assert seen(a_visible_room(value, ben=JOIN)).reason is reason

    @pytest.mark.parametrize("membership", [None, INVITE, KNOCK, LEAVE, BAN])
    def test_shows_what_everybody_may_read(self, membership: Membership | None) -> None:
        room = a_visible_room("world_readable", ben=membership)
        assert seen(room).reason is Reason.WORLD_READABLE

    @pytest.mark.parametrize("at_event", [None, INVITE, KNOCK, LEAVE, BAN])
    @pytest.mark.parametrize("value", ["shared", None, "unheard of"])
    def test_shows_a_shared_history_to_who_joined_since(
        self, value: Any, at_event: Membership | None
    ) -> None:
        room = a_visible_room(value, ben=at_event)
        assert seen(room, room.with_member(BEN, JOIN)).reason is Reason.JOINED_SINCE
        assert seen(room).reason is Reason.HIDDEN

    def test_shows_a_shared_history_to_who_joined_since_and_left(self) -> None:
        room = a_visible_room("shared")
        state, event = room.state, room.message(ANA)
        assert may_see(BEN, event, state, state, joined_since=True).reason is Reason.JOINED_SINCE
        joined = room.with_member(BEN, JOIN).state
        assert not may_see(BEN, event, state, joined, joined_since=False)

    @pytest.mark.parametrize("now", [None, INVITE, JOIN, LEAVE, BAN])
    def test_shows_a_history_for_invited_users_from_the_invite_on(
        self, now: Membership | None
    ) -> None:
        room = a_visible_room("invited", ben=INVITE)
        later = room if now is None else room.with_member(BEN, now)
        assert seen(room, later).reason is Reason.INVITED
        assert not seen(a_visible_room("invited"), later)

    @pytest.mark.parametrize("at_event", [None, INVITE, KNOCK, LEAVE, BAN])
    def test_hides_a_history_for_joined_users_from_before_the_join(
        self, at_event: Membership | None
    ) -> None:
        room = a_visible_room("joined", ben=at_event)
        assert seen(room, room.with_member(BEN, JOIN)).reason is Reason.HIDDEN

    def test_goes_by_the_value_at_the_event(self) -> None:
        room = a_visible_room("joined")
        now = room.with_content(PLACE, {"history_visibility": "world_readable"})
        assert not seen(room, now)

    def test_answers_with_what_decided(self) -> None:
        room = a_visible_room("invited", ben=INVITE)
        event = room.message(ANA)
        answer = seen(room, event=event)
        assert answer == Visibility(
            viewer=BEN,  # type: ignore[arg-type]  # text
            event=event,
            reason=Reason.INVITED,
            history_visibility=(INVITED,),
            joined=False,
            invited=True,
            joined_since=False,
            membership=INVITE,
        )
        assert str(answer) == (
            "visible to @ben:b.example: invited at the event, and the history is for invited users"
            " (history visibility invited)"
        )
        assert pickle.loads(pickle.dumps(answer)) == answer

    @pytest.mark.parametrize("viewer", ["@", "@ben", "b_example", "", None, 5, ["@ben:b.example"]])
    def test_refuses_who_is_neither_user_nor_server(self, viewer: Any) -> None:
        with pytest.raises(InvalidIdentifier):
            seen(a_room(V11), by=viewer)


class TestMaySeeAChangeOfVisibility:
    @pytest.mark.parametrize("other", ["shared", "invited", "joined"])
    def test_shows_it_if_the_old_or_the_new_value_does(self, other: str) -> None:
        for old, new in (("world_readable", other), (other, "world_readable")):
            room = a_visible_room(old)
            event = room.event(PLACE, ANA, {"history_visibility": new}, "")
            answer = seen(room, event=event)
            assert answer.reason is Reason.WORLD_READABLE
            assert list(map(str, answer.history_visibility)) == [old, new]

    def test_shows_it_by_the_default(self) -> None:
        room = a_visible_room("joined")
        event = room.event(PLACE, ANA, {}, "")
        assert seen(room, room.with_member(BEN, JOIN), event=event).reason is Reason.JOINED_SINCE

    def test_shows_an_old_value_that_the_room_did_not_set(self) -> None:
        room = a_visible_room(None)
        event = room.event(PLACE, ANA, {"history_visibility": "joined"}, "")
        assert seen(room, room.with_member(BEN, JOIN), event=event).reason is Reason.JOINED_SINCE

    def test_is_not_one_with_another_state_key(self) -> None:
        room = a_visible_room("joined")
        for key in ("x", None):
            change = {"history_visibility": "world_readable"}
            assert not seen(room, event=room.event(PLACE, ANA, change, key))


class TestMaySeeAChangeOfMembership:
    @pytest.mark.parametrize("value", ["shared", "invited", "joined"])
    def test_shows_the_own_join_and_the_end_of_it(self, value: str) -> None:
        room = a_visible_room(value)
        joined = room.with_member(BEN, JOIN)
        assert seen(room, event=room.join(BEN)).reason is Reason.JOINED
        for end in (room.leave(BEN), room.kick(ANA, BEN), room.ban(ANA, BEN)):
            assert seen(joined, event=end).reason is Reason.JOINED

    def test_shows_the_own_invite_if_the_history_is_for_invited_users(self) -> None:
        for value, shows in (("invited", True), ("shared", False), ("joined", False)):
            room = a_visible_room(value)
            assert bool(seen(room, event=room.invite(ANA, BEN))) is shows
            invited = room.with_member(BEN, INVITE)
            assert bool(seen(invited, event=room.leave(BEN))) is shows

    def test_hides_the_membership_of_others(self) -> None:
        room = a_visible_room("joined")
        assert not seen(room, event=room.join(CAY))

    def test_goes_by_a_redacted_join_too(self) -> None:
        room = a_visible_room("joined")
        redacted = room.join(BEN).redacted()
        assert seen(room, event=redacted).reason is Reason.JOINED
        assert seen(room.with_state(redacted)).reason is Reason.JOINED

    def test_is_not_an_event_of_another_type(self) -> None:
        room = a_visible_room("joined")
        assert not seen(room, event=room.event("x.member", BEN, {"membership": "join"}, BEN))


class TestOfAServer:
    def test_sees_what_one_of_its_users_may_see(self) -> None:
        room = a_visible_room("joined")
        assert seen(room.with_member(BEN, JOIN), by="b.example").reason is Reason.JOINED
        assert seen(room.with_member(BEN, INVITE), by="b.example").reason is Reason.HIDDEN
        assert seen(room, event=room.join(BEN), by="b.example").reason is Reason.JOINED
        assert not seen(room, event=room.join(CAY), by="b.example")

    def test_sees_a_shared_history_once_it_is_in_the_room(self) -> None:
        room = a_visible_room("shared")
        assert not seen(room, by="b.example")
        now = room.with_member(BEN, JOIN)
        assert seen(room, now, by="b.example").reason is Reason.JOINED_SINCE

    def test_sees_a_history_for_invited_users_with_an_invited_user(self) -> None:
        room = a_visible_room("invited")
        assert seen(room.with_member(BEN, INVITE), by="b.example").reason is Reason.INVITED
        assert seen(room, event=room.invite(ANA, BEN), by="b.example").reason is Reason.INVITED
        assert not seen(room, by="b.example")


class TestOfAPartialState:
    @pytest.mark.parametrize("by", [BEN, "b.example"])
    @pytest.mark.parametrize("value", ["shared", "invited", "joined"])
    def test_is_unknown_where_it_hangs_on_members_left_out(self, value: str, by: str) -> None:
        room = a_visible_room(value)
        partial = RoomState.of(V11, room.events, partial=True)
        answer = may_see(by, room.message(ANA), partial, partial)
        assert (answer.reason, bool(answer)) == (Reason.UNKNOWN, False)
        assert answer.joined is None

    def test_is_known_where_it_does_not(self) -> None:
        room = a_visible_room("joined", ben=LEAVE)
        partial = RoomState.of(V11, room.events, partial=True)
        assert may_see(BEN, room.message(ANA), partial, partial).reason is Reason.HIDDEN
        world = RoomState.of(V11, a_visible_room("world_readable").events, partial=True)
        assert may_see(BEN, room.message(ANA), world, world)
        joined = may_see(BEN, room.join(BEN), partial, partial)
        assert joined.reason is Reason.JOINED

    def test_is_unknown_where_the_value_is_left_out(self) -> None:
        room = a_room(V11)
        stripped = RoomState.of(V11, room.events, stripped=True)
        answer = may_see(BEN, room.message(ANA), stripped, stripped)
        assert (answer.reason, answer.history_visibility) == (Reason.UNKNOWN, (None,))
        assert str(answer).endswith("(history visibility unknown)")
        assert may_see(ANA, room.message(ANA), stripped, stripped).reason is Reason.JOINED

    def test_is_hidden_by_any_value_from_who_was_not_there(self) -> None:
        room = a_room(V11).with_member(BEN, LEAVE)
        event = room.event(PLACE, ANA, {"history_visibility": "joined"}, "")
        stripped = RoomState.of(V11, room.events, stripped=True)
        # The old value may be world_readable.
        assert may_see(BEN, event, stripped, stripped).reason is Reason.UNKNOWN


class TestErasedSender:
    def test_is_shown_redacted_to_who_joined_later(self) -> None:
        room = a_visible_room("shared")
        event, now = room.message(ANA), room.with_member(BEN, JOIN).state
        for then in (None, room.state):
            answer = may_see(BEN, event, room.state, now, erased={ANA: then})
            assert (bool(answer), answer.erased) == (True, True)
            assert answer.shown is not None
            assert answer.shown.content == {}

    def test_is_shown_whole_to_who_was_joined_at_the_event_or_the_erasure(self) -> None:
        room = a_visible_room("shared")
        joined = room.with_member(BEN, JOIN)
        event = room.message(ANA)
        kept = may_see(BEN, event, room.state, joined.state, erased={ANA: joined.state})
        assert kept.shown is event
        at_event = may_see(BEN, event, joined.state, joined.state, erased={ANA: None})
        assert at_event.shown is event

    def test_is_shown_redacted_to_everybody_else_in_a_room_that_all_may_read(self) -> None:
        room = a_visible_room("world_readable")
        answer = may_see(BEN, room.message(ANA), room.state, room.state, erased={ANA: room.state})
        assert (answer.reason, answer.erased) == (Reason.WORLD_READABLE, True)

    def test_does_not_touch_the_events_of_others(self) -> None:
        room = a_visible_room("world_readable")
        event = room.message(ANA)
        assert seen(room, event=event).shown is event
        assert not may_see(BEN, event, room.state, room.state, erased={CAY: None}).erased


class TestTimeline:
    def steps(self) -> tuple[list[tuple[Event, RoomState]], Room]:
        """A message; Ben joins, a message, Ben leaves, a message. Each with the state before."""
        room = a_visible_room("shared")
        joined = room.with_member(BEN, JOIN)
        left = joined.with_member(BEN, LEAVE)
        return [
            (room.message(ANA), room.state),
            (joined.events[-1], room.state),
            (joined.message(ANA), joined.state),
            (left.events[-1], joined.state),
            (left.message(ANA), left.state),
        ], left

    def test_shows_a_user_who_left_what_they_could_see_before(self) -> None:
        steps, left = self.steps()
        events = [event for event, _ in steps]
        assert timeline(BEN, steps, left.state) == events[:4]
        assert timeline(CAY, steps, left.state) == []
        assert timeline(ANA, steps, left.state) == events
        assert timeline(CAY, iter(steps), left.state, joined_since=True) == events

    def test_serves_a_server_the_rest_redacted(self) -> None:
        steps, left = self.steps()
        events = [event for event, _ in steps]
        served = timeline("b.example", steps, left.state)
        assert served == events  # the same IDs
        assert [event.content == {} for event in served] == [False] * 4 + [True]
        assert all(event.content for event in timeline("a.example", steps, left.state))

    def test_serves_redacted_events_that_still_have_their_id_and_signers(self) -> None:
        steps, left = self.steps()
        (event, _) = steps[-1]
        served = timeline("c.example", steps[-1:], left.state)
        assert served[0].event_id == event.event_id
        assert served[0].signed_by == event.signed_by

    def test_goes_back_to_the_states_where_it_is_unknown_whether_the_viewer_joined(self) -> None:
        room = a_visible_room("shared")
        partial = RoomState.of(V11, room.events, partial=True)
        joined = room.with_member(BEN, JOIN)
        steps = [(room.message(ANA), room.state), (joined.message(ANA), joined.state)]
        assert timeline(BEN, steps, partial) == [event for event, _ in steps]
        assert timeline(CAY, steps, partial) == []

    def test_cannot_redact_what_came_in_client_format(self) -> None:
        room = a_visible_room("joined")
        event = Event.from_client_event({"type": "x", "sender": ANA, "content": {}}, V11)
        assert timeline(BEN, [(event, room.state)], room.state) == []
        with pytest.raises(InvalidEvent):
            timeline("b.example", [(event, room.state)], room.state)


class TestMembership:
    """The membership of the user who asks, as `unsigned` tells it."""

    def test_is_the_one_at_the_event(self) -> None:
        room = a_visible_room("world_readable")
        assert seen(room).membership is LEAVE
        for membership in (BAN, INVITE, JOIN, KNOCK, LEAVE):
            at = room.with_member(BEN, membership)
            assert seen(at, room).membership is membership

    def test_is_the_one_after_an_event_that_changes_it(self) -> None:
        room = a_visible_room("world_readable")
        assert seen(room, event=room.join(BEN)).membership is JOIN
        joined = room.with_member(BEN, JOIN)
        assert seen(joined, event=room.ban(ANA, BEN)).membership is BAN
        assert seen(joined, event=room.leave(CAY)).membership is JOIN

    def test_is_unknown_where_nobody_can_tell(self) -> None:
        room = a_visible_room("world_readable")
        partial = RoomState.of(V11, room.events, partial=True)
        assert may_see(BEN, room.message(ANA), partial, partial).membership is None
        assert may_see(BEN, room.join(BEN), partial, partial).membership is JOIN
        odd = room.event("m.room.member", BEN, {"membership": "away"}, BEN)
        assert seen(room, event=odd).membership is None

    def test_is_not_of_a_server(self) -> None:
        room = a_visible_room("world_readable").with_member(BEN, JOIN)
        assert seen(room, by="b.example").membership is None
        assert seen(room, event=room.join(BEN), by="b.example").membership is None


class TestClientTimeline:
    def test_has_the_events_of_the_timeline_with_the_membership(self) -> None:
        steps, left = TestTimeline().steps()
        told = client_timeline(BEN, steps, left.state)
        assert [event["event_id"] for event in told] == [
            event.event_id for event in timeline(BEN, steps, left.state)
        ]
        assert [event["unsigned"] for event in told] == [
            {"membership": word} for word in ("leave", "join", "join", "leave")
        ]

    def test_is_of_a_user(self) -> None:
        with pytest.raises(InvalidIdentifier):
            client_timeline("b.example", [], a_room(V11).state)

    def test_takes_nothing_from_other_servers(self) -> None:
        room = a_visible_room("world_readable")
        pdu = {**room.message(ANA).to_pdu(), "unsigned": {"redacted_because": {}, "age": 5}}
        event = Event.from_pdu(pdu, V11)
        (told,) = client_timeline(BEN, [(event, room.state)], room.state)
        assert told["unsigned"] == {"membership": "leave"}

    @pytest.mark.parametrize("came", [{"age": 5, "membership": "join"}, {"age": 5}])
    def test_keeps_what_this_server_told_before(self, came: Any) -> None:
        room = a_visible_room("world_readable")
        fields = {"type": "x", "sender": ANA, "content": {}, "unsigned": came}
        event = Event.from_client_event(fields, V11)
        (told,) = client_timeline(BEN, [(event, room.state)], room.state)
        assert told["unsigned"] == {"age": 5, "membership": "leave"}

    @pytest.mark.parametrize("came", [None, [], {}, "x", {"membership": "join"}])
    def test_tells_nothing_where_nothing_is_known(self, came: Any) -> None:
        room = a_visible_room("world_readable")
        fields = {"type": "x", "sender": ANA, "content": {}, "unsigned": came}
        event = Event.from_client_event(fields, V11)
        partial = RoomState.of(V11, room.events, partial=True)
        (told,) = client_timeline(BEN, [(event, partial)], partial)
        assert "unsigned" not in told


class TestReadableState:
    @pytest.mark.parametrize("value", VALUES)
    def test_is_the_current_one_for_a_joined_user(self, value: str) -> None:
        state = a_visible_room(value, ben=JOIN).state
        assert readable_state(BEN, state, when_left=a_room(V11).state) is state

    @pytest.mark.parametrize("value", VALUES)
    @pytest.mark.parametrize("membership", [LEAVE, BAN, INVITE, KNOCK])
    def test_is_the_one_when_they_left_for_who_left(
        self, membership: Membership, value: str
    ) -> None:
        now, left = a_visible_room(value, ben=membership).state, a_room(V12).state
        assert readable_state(BEN, now, when_left=left) is left

    @pytest.mark.parametrize("membership", [None, LEAVE, BAN, INVITE, KNOCK])
    def test_is_the_current_one_for_others_if_everybody_may_read_it(
        self, membership: Membership | None
    ) -> None:
        for value in VALUES:
            state = a_visible_room(value, ben=membership).state
            shown = readable_state(BEN, state)
            assert shown is (state if value == "world_readable" else None)

    def test_is_none_where_nobody_knows(self) -> None:
        partial = RoomState.of(V11, a_room(V11).events, partial=True)
        stripped = RoomState.of(V11, a_room(V11).events, stripped=True)
        assert readable_state(BEN, partial) is None
        assert readable_state(BEN, stripped) is None

    def test_at_a_point_is_for_who_may_see_events_there(self) -> None:
        for value, membership, shows in (
            ("joined", JOIN, True),
            ("joined", INVITE, False),
            ("invited", INVITE, True),
            ("shared", LEAVE, False),
            ("world_readable", None, True),
        ):
            at = a_visible_room(value, ben=membership).state
            now = a_visible_room("joined", ben=LEAVE).state
            assert readable_state(BEN, now, at=at) is (at if shows else None)

    def test_at_a_point_of_a_shared_history_is_for_who_joined_since(self) -> None:
        at, now = a_visible_room("shared").state, a_room(V11).with_member(BEN, JOIN).state
        assert readable_state(BEN, now, at=at) is at
        assert readable_state(BEN, at, at=at, joined_since=True) is at
        assert readable_state(BEN, now, at=at, joined_since=False) is None

    def test_is_for_users(self) -> None:
        with pytest.raises(InvalidIdentifier):
            readable_state("b.example", a_room(V11).state)


class TestListMembers:
    ROOM = a_room(V11).with_member(BEN, INVITE).with_member(CAY, LEAVE).with_member(DAN, BAN)

    def users(self, **wanted: Any) -> list[str | None]:
        return [event.state_key for event in list_members(self.ROOM.state, **wanted)]

    def test_are_all_without_a_filter(self) -> None:
        assert set(self.users()) == {ANA, BEN, CAY, DAN}

    def test_are_those_with_the_membership(self) -> None:
        assert self.users(membership="join") == self.users(membership=JOIN) == [ANA]
        assert self.users(membership="knock") == []

    def test_are_those_without_the_other_membership(self) -> None:
        assert set(self.users(not_membership="leave")) == {ANA, BEN, DAN}

    def test_are_those_to_whom_either_applies(self) -> None:
        assert set(self.users(membership="leave", not_membership="join")) == {BEN, CAY, DAN}
        assert set(self.users(membership="leave", not_membership="leave")) == {ANA, BEN, CAY, DAN}

    @pytest.mark.parametrize("wrong", ["", "JOIN", "unknown", 5])
    def test_have_a_membership_of_the_protocol(self, wrong: Any) -> None:
        for name in ("membership", "not_membership"):
            with pytest.raises(InvalidMessage):
                self.users(**{name: wrong})


class TestGuestsCanJoin:
    @pytest.mark.parametrize("value", ["forbidden", "", None, 5, True, ["can_join"], {}])
    def test_not_by_another_value(self, value: Any) -> None:
        room = a_room(V1).with_content("m.room.guest_access", {"guest_access": value})
        assert not guests_can_join(room.state)

    def test_by_the_one_value(self) -> None:
        room = a_room(V1).with_content("m.room.guest_access", {"guest_access": "can_join"})
        assert guests_can_join(room.state)
        assert not guests_can_join(a_room(V1).state)

    def test_reads_the_history_as_other_users_do(self) -> None:
        guest = "@7:a.example"
        assert seen(a_visible_room("world_readable"), by=guest)
        assert not seen(a_visible_room("shared"), by=guest)
