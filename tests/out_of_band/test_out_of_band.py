"""Membership in rooms that this server is not in. It is b.example, and its user is Ben."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from matrix_membership import (
    V7,
    V8,
    V10,
    V11,
    V12,
    Event,
    KeyRing,
    RoomVersion,
    Signer,
    signing,
)
from matrix_membership._attrs import evolve
from matrix_membership.errors import InvalidMessage, LocalProtocolError
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.membership import BAN, INVITE, KNOCK, LEAVE, Membership, Transition
from matrix_membership.out_of_band import (
    MAX_HELD,
    MAX_REMEMBERED,
    OutOfBand,
    Reason,
    Reception,
    Verdict,
)
from tests.builders import ANA, BEN, CAY, DAN, SIGNER_B, VERSIONS, decision, signed_invite
from tests.captures import captures
from tests.histories import History, a_history

C: Final = Signer.from_seed("c.example", "ed25519:c", "C" * 42 + "A")
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
KNOCKING = pytest.mark.parametrize(
    "version", [version for version in VERSIONS if version.knocking], ids=str
)
THEN, NOW = 1_000, 2_000


@attrs.frozen
class Case:
    """A room as it is, and what our server holds of Ben's membership in it."""

    history: History
    held: OutOfBand

    def comes(self, membership: str, sender: str = ANA, **more: Any) -> Reception:
        """What becomes of a member event that is sent now."""
        return self.held.receive(self.event(membership, sender, **more), at=NOW)

    def event(self, membership: str, sender: str = ANA, **more: Any) -> Event:
        signers = {BEN: SIGNER_B, CAY: C}
        given = {"signer": signers[sender]} if sender in signers else {}
        return self.history.member(BEN, membership, sender=sender, **{**given, **more})

    def after(self, membership: str, sender: str = ANA) -> Case:
        """The case after an event that is accepted."""
        event = self.event(membership, sender)
        outcome = self.held.receive(event, at=NOW)
        assert outcome
        return Case(self.history.with_event(event), outcome.after)


def invited(version: RoomVersion = V11, *told: str, history: History | None = None) -> Case:
    """Ana invited Ben, and told him these parts of the state."""
    history = history or a_history(version).with_member(CAY, "join", signer=C)
    history = history.with_member(BEN, "invite", sender=ANA)
    shown = [event for event in history.events if event.type in told]
    return Case(history, OutOfBand.invited(history.events[-1], at=THEN, room_state=shown))


def knocking(
    version: RoomVersion = V11, *told: str, history: History | None = None, **more: Any
) -> Case:
    """Ben knocked, and the room told him these parts of the state."""
    history = history or a_history(version).with_member(CAY, "join", signer=C)
    history = history.with_member(BEN, "knock", signer=SIGNER_B)
    shown = [event for event in history.events if event.type in told]
    knock = history.events[-1]
    return Case(history, OutOfBand.knocked(knock, at=THEN, room_state=shown, **more))


def with_levels(**levels: Any) -> History:
    """A room in which Cay's level can be known."""
    history = a_history(V11).with_member(CAY, "join", signer=C)
    content = {"users": {ANA: 100}, "kick": 50, "ban": 60, **levels}
    return history.with_state("m.room.power_levels", content)


TOLD = ("m.room.create", "m.room.join_rules", "m.room.power_levels")


class TestInvited:
    @EVERY_VERSION
    def test_holds_an_invite(self, version: RoomVersion) -> None:
        case = invited(version)
        assert case.held == OutOfBand(case.history.events[-1], THEN)
        assert (case.held.membership, case.held.user_id) == (INVITE, BEN)
        assert case.held.room_id == case.history.events[0].room_id

    def test_holds_nothing_else(self) -> None:
        knock = knocking().held.event
        with pytest.raises(LocalProtocolError) as caught:
            OutOfBand.invited(knock, at=THEN)
        assert caught.value == LocalProtocolError("a membership invite", repr(knock))

    def test_holds_nothing_that_users_sent_to_themselves(self) -> None:
        invite = a_history(V11).member(BEN, "invite", signer=SIGNER_B)
        with pytest.raises(LocalProtocolError) as caught:
            OutOfBand.invited(invite, at=THEN)
        assert caught.value == LocalProtocolError("a membership invite", repr(invite))

    def test_holds_nothing_unsigned(self) -> None:
        invite = invited().held.event.with_signers(["b.example"])
        with pytest.raises(LocalProtocolError) as caught:
            OutOfBand.invited(invite, at=THEN)
        assert caught.value == LocalProtocolError("a signed invite", repr(invite))

    @pytest.mark.parametrize(
        ("signers", "held"), [([], False), (["x.example"], False), (["b.example"], True)]
    )
    def test_holds_by_a_third_party_what_this_server_signed(
        self, signers: list[str], *, held: bool
    ) -> None:
        content = {"membership": "invite", "third_party_invite": signed_invite(BEN)}
        invite = a_history(V11).event("m.room.member", ANA, content, BEN).with_signers(signers)
        if held:
            assert OutOfBand.invited(invite, at=THEN).membership is INVITE
        else:
            with pytest.raises(LocalProtocolError) as caught:
                OutOfBand.invited(invite, at=THEN)
            assert caught.value == LocalProtocolError("a signed invite", repr(invite))


class TestKnocked:
    @KNOCKING
    def test_holds_a_knock(self, version: RoomVersion) -> None:
        case = knocking(version)
        assert case.held == OutOfBand(case.history.events[-1], THEN)
        assert case.held.membership is KNOCK

    def test_holds_nothing_else(self) -> None:
        invite = invited().held.event
        with pytest.raises(LocalProtocolError) as caught:
            OutOfBand.knocked(invite, at=THEN)
        assert caught.value == LocalProtocolError("a membership knock", repr(invite))

    def test_holds_nothing_that_another_user_sent(self) -> None:
        knock = a_history(V11).member(BEN, "knock", sender=ANA)
        with pytest.raises(LocalProtocolError) as caught:
            OutOfBand.knocked(knock, at=THEN)
        assert caught.value == LocalProtocolError("a membership knock", repr(knock))


class TestServersSeen:
    def test_are_those_given_and_that_of_who_invites(self) -> None:
        invite = invited().held.event
        held = OutOfBand.invited(invite, at=THEN, servers=["x.example"])
        assert held.servers_seen == {"a.example", "x.example"}

    def test_are_not_the_users_own(self) -> None:
        assert knocking().held.servers_seen == frozenset()

    def test_are_those_that_signed_what_tells_of_the_room(self) -> None:
        case = knocking(V11, "m.room.create", "m.room.member")
        assert case.held.servers_seen == {"a.example", "b.example", "c.example"}

    def test_are_not_those_of_what_nobody_signed(self) -> None:
        case = knocking()
        create, _, _, cay, _ = case.history.events
        stripped = Event.from_client_event(create.to_stripped(), V11)
        shown = [stripped, cay.with_signers([])]
        held = OutOfBand.knocked(case.held.event, at=THEN, room_state=shown)
        assert held.servers_seen == frozenset()

    @pytest.mark.parametrize("version", [V10, V12], ids=str)
    def test_are_not_those_of_another_room(self, version: RoomVersion) -> None:
        other = a_history(version).events
        held = OutOfBand.knocked(knocking().held.event, at=THEN, room_state=other)
        assert held.servers_seen == frozenset()

    def test_are_not_those_that_an_unsigned_invite_names(self) -> None:
        case = knocking()
        content = {"membership": "invite", "third_party_invite": {"signed": {}}}
        invite = case.history.event("m.room.member", CAY, content, "@mal:evil.example", signer=C)
        shown = [invite.with_signers([])]
        held = OutOfBand.knocked(case.held.event, at=THEN, room_state=shown)
        assert held.servers_seen == frozenset()

    def test_are_remembered(self) -> None:
        after = invited().after("leave", BEN).held
        assert after.servers_seen == {"a.example"}


class TestAccepted:
    @EVERY_VERSION
    @pytest.mark.parametrize(
        ("membership", "sender", "reason", "transition"),
        [
            ("leave", ANA, Reason.BY_THE_SAME_SENDER, Transition.INVITE_WITHDRAWN),
            ("ban", ANA, Reason.BY_THE_SAME_SENDER, Transition.BANNED),
            ("leave", BEN, Reason.BY_THE_USER, Transition.INVITE_REJECTED),
            ("invite", ANA, Reason.NEW_INVITE, Transition.UNCHANGED),
        ],
    )
    def test_is_after_an_invite(
        self,
        version: RoomVersion,
        membership: str,
        sender: str,
        reason: Reason,
        transition: Transition,
    ) -> None:
        case = invited(version)
        event = case.event(membership, sender)
        after = OutOfBand(
            event,
            NOW,
            servers=frozenset({ServerName("a.example")} if sender == BEN else ()),
            replaced=(case.held.event.event_id,),
        )
        expected = Reception(Verdict.ACCEPTED, reason, after, transition)
        assert case.held.receive(event, at=NOW) == expected
        assert expected

    @KNOCKING
    @pytest.mark.parametrize(
        ("membership", "sender", "reason", "transition"),
        [
            ("leave", BEN, Reason.BY_THE_USER, Transition.KNOCK_RETRACTED),
            ("invite", ANA, Reason.NEW_INVITE, Transition.KNOCK_ACCEPTED),
            ("knock", BEN, Reason.NEW_KNOCK, Transition.UNCHANGED),
        ],
    )
    def test_is_after_a_knock(
        self,
        version: RoomVersion,
        membership: str,
        sender: str,
        reason: Reason,
        transition: Transition,
    ) -> None:
        outcome = knocking(version).comes(membership, sender)
        assert (outcome.verdict, outcome.reason, outcome.transition) == (
            Verdict.ACCEPTED,
            reason,
            transition,
        )
        assert str(outcome.after.membership) == membership

    @pytest.mark.parametrize(
        ("end", "membership", "sender", "transition"),
        [
            ("leave", "invite", CAY, Transition.INVITED),
            ("leave", "knock", BEN, Transition.KNOCKED),
            ("leave", "ban", ANA, Transition.BANNED),
            ("ban", "leave", ANA, Transition.UNBANNED),
        ],
    )
    def test_is_after_the_end_of_an_invite(
        self, end: str, membership: str, sender: str, transition: Transition
    ) -> None:
        outcome = invited().after(end).comes(membership, sender)
        assert (bool(outcome), outcome.transition) == (True, transition)

    def test_is_an_invite_after_a_ban_that_was_lifted_unseen(self) -> None:
        case = invited().after("ban")
        unseen = case.event("leave")
        case = evolve(case, history=case.history.with_event(unseen))
        assert case.comes("invite").reason is Reason.NEW_INVITE

    def test_brings_a_new_description_of_the_room(self) -> None:
        case = knocking(V11, "m.room.create")
        told = case.history.events[1:3]
        outcome = case.held.receive(case.event("invite"), at=NOW, room_state=told)
        assert outcome.after.room_state == told

    def test_keeps_the_old_description_otherwise(self) -> None:
        case = knocking(V11, "m.room.create")
        assert case.comes("invite").after.room_state == case.history.events[:1]

    def test_says_so(self) -> None:
        said = str(invited().comes("leave"))
        assert said == "accepted: by the sender of what it replaces"


def outcome_of(case: Case, membership: str, sender: str, reason: Reason) -> Reception:
    """The outcome when it is as the reason says, checked to change nothing but likelihood."""
    outcome = case.comes(membership, sender)
    assert outcome.reason is reason
    assert evolve(outcome.after, likely=None) == case.held
    assert not outcome
    return outcome


class TestByAnother:
    """Cay, who neither invited Ben nor is Ben: nobody here can ask the rules about her."""

    def test_is_unknown_from_a_server_that_was_not_seen(self) -> None:
        outcome = outcome_of(invited(), "leave", CAY, Reason.SERVER_UNSEEN)
        assert (outcome.verdict, outcome.after.likely) == (Verdict.UNKNOWN, None)

    @pytest.mark.parametrize(
        ("membership", "likely", "transition"),
        [("leave", LEAVE, Transition.INVITE_WITHDRAWN), ("ban", BAN, Transition.BANNED)],
    )
    def test_is_likely_from_a_server_that_was_seen(
        self, membership: str, likely: Membership, transition: Transition
    ) -> None:
        outcome = outcome_of(invited(V11, "m.room.member"), membership, CAY, Reason.POWER_UNSEEN)
        assert (outcome.verdict, outcome.after.likely, outcome.transition) == (
            Verdict.LIKELY,
            likely,
            transition,
        )
        assert outcome.after.membership is INVITE

    @KNOCKING
    @pytest.mark.parametrize(
        ("membership", "transition"),
        [("leave", Transition.KNOCK_DENIED), ("ban", Transition.BANNED)],
    )
    def test_is_likely_after_a_knock(
        self, version: RoomVersion, membership: str, transition: Transition
    ) -> None:
        outcome = knocking(version, servers=["a.example"]).comes(membership)
        assert (outcome.verdict, outcome.reason, outcome.transition) == (
            Verdict.LIKELY,
            Reason.POWER_UNSEEN,
            transition,
        )

    def test_is_unknown_when_the_sender_was_not_joined(self) -> None:
        history = a_history(V11).with_member(CAY, "join", signer=C)
        history = history.with_member(CAY, "leave", signer=C)
        case = invited(history=history)
        shown = [history.events[-1]]
        held = OutOfBand.invited(case.held.event, at=THEN, room_state=shown)
        outcome_of(evolve(case, held=held), "leave", CAY, Reason.SENDER_NOT_JOINED)

    @pytest.mark.parametrize(("level", "membership"), [(50, "leave"), (60, "ban")])
    def test_is_likely_when_power_levels_allow_it(self, level: int, membership: str) -> None:
        case = invited(V11, *TOLD, "m.room.member", history=with_levels(users={CAY: level}))
        outcome = outcome_of(case, membership, CAY, Reason.POWER_SEEN)
        rule = "leave.sender_may_kick" if membership == "leave" else "ban.sender_may_ban"
        assert (outcome.verdict, outcome.decision) == (Verdict.LIKELY, decision(rule, V11))

    @pytest.mark.parametrize(("level", "membership"), [(49, "leave"), (59, "ban")])
    def test_is_unknown_when_power_levels_forbid_it(self, level: int, membership: str) -> None:
        case = invited(V11, *TOLD, "m.room.member", history=with_levels(users={CAY: level}))
        outcome = outcome_of(case, membership, CAY, Reason.POWER_LACKING)
        rule = f"{membership}.otherwise"
        assert (outcome.verdict, outcome.decision, outcome.after.likely) == (
            Verdict.UNKNOWN,
            decision(rule, V11),
            None,
        )

    def test_is_likely_though_the_senders_membership_is_not_at_hand(self) -> None:
        case = knocking(V11, *TOLD, history=with_levels())
        assert outcome_of(case, "leave", ANA, Reason.POWER_SEEN).verdict is Verdict.LIKELY

    def test_needs_the_create_event_to_judge_power(self) -> None:
        case = knocking(V11, "m.room.power_levels", history=with_levels())
        outcome_of(case, "leave", ANA, Reason.POWER_UNSEEN)

    def test_believes_no_power_levels_that_nobody_signed(self) -> None:
        case = knocking(V11, *TOLD, history=with_levels(users={ANA: 0}), servers=["a.example"])
        stripped = [
            Event.from_client_event(event.to_stripped(), V11) for event in case.held.room_state
        ]
        held = evolve(case.held, room_state=tuple(stripped))
        outcome_of(evolve(case, held=held), "leave", ANA, Reason.POWER_UNSEEN)

    def test_knows_the_power_of_version_12s_creators_without_power_levels(self) -> None:
        case = knocking(V12, "m.room.create")
        assert outcome_of(case, "leave", ANA, Reason.POWER_SEEN).verdict is Verdict.LIKELY

    @pytest.mark.parametrize("version", [V7, V11], ids=str)
    def test_knows_no_power_of_other_creators(self, version: RoomVersion) -> None:
        outcome_of(knocking(version, "m.room.create"), "leave", ANA, Reason.POWER_UNSEEN)

    def test_may_lift_a_ban(self) -> None:
        case = invited(V11, *TOLD, "m.room.member", history=with_levels(users={CAY: 60}))
        outcome = case.after("ban").comes("leave", CAY)
        assert (outcome.reason, outcome.after.membership, outcome.after.likely) == (
            Reason.POWER_SEEN,
            BAN,
            LEAVE,
        )

    def test_tells_nothing_new_of_what_was_rejected_locally(self) -> None:
        case = invited(V11, "m.room.member")
        held = case.held.reject_locally(at=THEN)
        outcome = evolve(case, held=held).comes("leave", CAY)
        assert (outcome.verdict, outcome.after) == (Verdict.LIKELY, held)

    def test_is_forgotten_when_something_certain_comes(self) -> None:
        case = invited(V11, "m.room.member")
        likely = evolve(case, held=case.comes("leave", CAY).after)
        assert likely.comes("invite").after.likely is None


class TestReplacesAnother:
    @pytest.mark.parametrize(
        ("membership", "sender"),
        [("leave", ANA), ("leave", BEN), ("leave", CAY), ("ban", ANA), ("ban", CAY)],
    )
    def test_is_unknown_when_the_event_held_is_not_what_it_replaces(
        self, membership: str, sender: str
    ) -> None:
        case = invited()
        unseen = case.history.with_event(case.event("invite", CAY))
        outcome = evolve(case, history=unseen).comes(membership, sender)
        expected = Reception(Verdict.UNKNOWN, Reason.REPLACES_ANOTHER, case.held)
        assert outcome == expected


class TestIgnored:
    def ignored(self, case: Case, event: Event, reason: Reason) -> None:
        outcome = case.held.receive(event, at=NOW)
        assert outcome == Reception(Verdict.IGNORED, reason, case.held)

    def test_is_what_is_held_already(self) -> None:
        case = invited()
        self.ignored(case, case.held.event, Reason.HELD_ALREADY)

    def test_is_an_invite_that_was_withdrawn(self) -> None:
        case = invited()
        self.ignored(case.after("leave"), case.held.event, Reason.REPLACED)

    def test_is_what_came_before_what_is_held(self) -> None:
        history = a_history(V11)
        first = history.member(BEN, "invite", sender=ANA)
        case = invited(history=history.with_event(first))
        self.ignored(case, first, Reason.REPLACED)

    @pytest.mark.parametrize("signers", [[], ["b.example"]])
    def test_is_what_the_senders_server_did_not_sign(self, signers: list[str]) -> None:
        case = invited()
        self.ignored(case, case.event("leave").with_signers(signers), Reason.UNSIGNED)

    def test_is_a_third_partys_invite_that_this_server_did_not_sign(self) -> None:
        case = invited()
        content = {"membership": "invite", "third_party_invite": signed_invite(BEN)}
        event = case.history.event("m.room.member", CAY, content, BEN).with_signers(["x.example"])
        self.ignored(case, event, Reason.UNSIGNED)

    def test_is_what_is_about_another_user(self) -> None:
        case = invited()
        event = case.history.member(DAN, "leave", sender=ANA)
        self.ignored(case, event, Reason.ELSEWHERE)

    def test_is_what_is_about_another_room(self) -> None:
        case = invited()
        event = case.event("leave", room_id="!other:a.example")
        self.ignored(case, event, Reason.ELSEWHERE)

    def test_is_what_is_of_another_version(self) -> None:
        case = invited()
        event = Event.from_pdu(case.event("leave").pdu, V10).with_signers(["a.example"])
        self.ignored(case, event, Reason.ELSEWHERE)

    @pytest.mark.parametrize("membership", ["join", "other"])
    def test_is_a_membership_that_is_not_out_of_band(self, membership: str) -> None:
        case = invited()
        self.ignored(case, case.event(membership, BEN), Reason.ELSEWHERE)

    def test_is_what_is_no_member_event(self) -> None:
        case = invited()
        event = case.history.event("m.room.topic", ANA, {}, BEN)
        self.ignored(case, event, Reason.ELSEWHERE)

    @pytest.mark.parametrize(
        ("membership", "sender"), [("invite", BEN), ("ban", BEN), ("knock", ANA)]
    )
    def test_is_what_nobody_can_send(self, membership: str, sender: str) -> None:
        case = invited()
        self.ignored(case, case.event(membership, sender), Reason.WRONG_SENDER)

    @pytest.mark.parametrize(
        ("held", "membership", "sender"),
        [
            ("invite", "knock", BEN),
            ("ban", "invite", ANA),
            ("ban", "knock", BEN),
            ("ban", "leave", BEN),
            ("ban", "ban", ANA),
            ("leave", "leave", BEN),
            ("leave", "leave", ANA),
        ],
    )
    def test_is_what_cannot_follow(self, held: str, membership: str, sender: str) -> None:
        case = invited() if held == "invite" else invited().after(held)
        self.ignored(case, case.event(membership, sender), Reason.NO_SUCH_MOVE)


class TestBesideEachOther:
    """Ana and Cay, of different servers, both invite Ben: neither replaces the other."""

    def both(self) -> tuple[Case, Reception]:
        case = invited()
        return case, case.comes("invite", CAY)

    def test_shows_the_newest_first(self) -> None:
        case, outcome = self.both()
        cays = outcome.after.event
        assert outcome.reason is Reason.NEW_INVITE
        assert outcome.after == OutOfBand(cays, NOW, others=(case.held,))
        assert outcome.after.invites == (cays, case.held.event)

    @pytest.mark.parametrize("end", ["leave", "ban"])
    def test_brings_the_other_back_when_one_ends(self, end: str) -> None:
        case, outcome = self.both()
        cays = outcome.after.event
        case = Case(case.history.with_event(cays), outcome.after)
        withdrawal = case.event(end, CAY)
        again = case.held.receive(withdrawal, at=NOW)
        replaced = (cays.event_id, withdrawal.event_id)
        assert again.after == evolve(invited().held, replaced=replaced)
        assert again.reason is Reason.BY_THE_SAME_SENDER
        for gone in (cays, withdrawal):
            assert again.after.receive(gone, at=NOW).reason is Reason.REPLACED

    def test_ends_the_one_that_is_not_shown(self) -> None:
        case, outcome = self.both()
        after = evolve(case, held=outcome.after).comes("leave", ANA).after
        assert after.invites == (outcome.after.event,)

    def test_ends_by_the_users_own_leave(self) -> None:
        case, outcome = self.both()
        after = evolve(case, held=outcome.after).comes("leave", BEN).after
        assert (after.membership, after.invites, after.others) == (LEAVE, (), ())
        assert after.servers_seen == {"a.example"}
        assert after.replaced == (case.held.event.event_id, outcome.after.event.event_id)

    def test_does_not_end_by_an_older_leave_that_comes_again(self) -> None:
        case, outcome = self.both()
        leave = case.event("leave", BEN, origin_server_ts=NOW - 1)
        after = outcome.after.receive(leave, at=NOW).after
        assert after.invites == (outcome.after.event,)

    def test_is_one_invite_for_each_server(self) -> None:
        case = invited()
        dans = case.event("invite", "@dan:a.example")
        after = case.held.receive(dans, at=NOW).after
        assert after.invites == (dans,)
        assert after.replaced == (case.held.event.event_id,)

    def test_is_an_invite_of_each_third_party_in_the_name_of_a_server(self) -> None:
        case = invited()
        content = {"membership": "invite", "third_party_invite": signed_invite(BEN)}
        forged = case.history.event("m.room.member", ANA, content, BEN).with_signers(["b.example"])
        after = case.held.receive(forged, at=NOW).after
        assert after.invites == (forged, case.held.event)

    def test_shows_what_has_likely_ended_last(self) -> None:
        case, outcome = self.both()
        after = outcome.after.with_refusal()
        assert after.invites == (case.held.event, outcome.after.event)
        assert [held.likely for held in (after, *after.others)] == [None, LEAVE]
        assert after.with_refusal().likely is LEAVE

    def test_shows_what_its_signer_contradicted_last(self) -> None:
        """Cay's server may be a stranger's, which was never in the room."""
        case, outcome = self.both()
        after = outcome.after.with_refusal(["c.example", "x.example"])
        assert after.invites == (case.held.event, outcome.after.event)
        assert [held.contradicted for held in (after, *after.others)] == [False, True]
        assert after.servers_to_ask == ("a.example", "c.example")
        both = after.with_refusal(["a.example"])
        assert [held.contradicted for held in (both, *both.others)] == [True, True]

    def test_asks_the_senders_servers_first_as_they_are_shown(self) -> None:
        _, outcome = self.both()
        held = evolve(outcome.after, servers=frozenset({ServerName("0.example")}))
        assert held.servers_to_ask == ("c.example", "a.example", "0.example")
        assert held.with_refusal().servers_to_ask == ("a.example", "c.example", "0.example")

    def test_takes_a_word_on_one_of_them_for_that_one(self) -> None:
        """Cay was seen with her own invite only, and says that Ana's was withdrawn."""
        case, outcome = self.both()
        kick = case.event("leave", CAY)
        assert outcome.after.receive(kick, at=NOW).reason is Reason.SERVER_UNSEEN
        seen = invited(V11, "m.room.member").held
        held = evolve(outcome.after, others=(seen,))
        likely = held.receive(kick, at=NOW)
        assert likely.verdict is Verdict.LIKELY
        assert likely.after == evolve(held, others=(evolve(seen, likely=LEAVE),))

    def test_gives_up_locally_all_of_them(self) -> None:
        case, outcome = self.both()
        held = outcome.after.reject_locally(at=NOW)
        assert (held.invites, held.others) == ((), ())
        assert held.replaced == (case.held.event.event_id,)

    def test_gives_up_those_that_are_too_old(self) -> None:
        case, outcome = self.both()
        after = outcome.after.expire(at=NOW, after=NOW - THEN - 1)
        gone = (case.held.event.event_id,)
        assert after == evolve(outcome.after, others=(), replaced=gone)

    @pytest.mark.parametrize("named", [True, False])
    def test_answers_a_knock_that_a_named_server_took(self, *, named: bool) -> None:
        case = knocking(V11, servers=["a.example"] if named else [])
        after = case.comes("invite", ANA).after
        knock = evolve(case.held, servers=frozenset())
        assert after.others == (() if named else (knock,))
        assert after.replaced == ((knock.event.event_id,) if named else ())

    def test_is_of_whatever_version_its_sender_says(self) -> None:
        case = invited()
        other = Event.from_pdu(case.event("invite", CAY).pdu, V10).with_signers(["c.example"])
        after = case.held.receive(other, at=NOW).after
        assert after.invites == (other, case.held.event)
        assert after.room_versions == (V10, V11)
        withdrawal = evolve(case, held=after).comes("leave", ANA)
        assert (bool(withdrawal), withdrawal.after.room_versions) == (True, (V10,))


class TestMaxHeld:
    """Strangers fill what is free; what is held, or expected, is not theirs to take."""

    def full(self, room_id: str) -> OutOfBand:
        events = [self.invite(f"@eve:s{number}.example", room_id) for number in range(MAX_HELD)]
        held = OutOfBand.invited(events[0], at=THEN)
        for event in events[1:]:
            held = held.receive(event, at=THEN).after
        return held

    def invite(self, sender: str, room_id: str) -> Event:
        server = sender.partition(":")[2]
        fields = {
            "type": "m.room.member",
            "event_id": f"$e:{server}",
            "room_id": room_id,
            "sender": sender,
            "state_key": BEN,
            "content": {"membership": "invite"},
        }
        return Event.from_client_event(fields, V11).with_signers([server])

    def test_lets_no_more_strangers_in(self) -> None:
        held = self.full("!r:x.example")
        outcome = held.receive(self.invite(ANA, "!r:x.example"), at=NOW)
        assert outcome == Reception(Verdict.UNKNOWN, Reason.TOO_MANY, held)

    def test_lets_the_server_in_that_the_room_id_names(self) -> None:
        held = self.full("!r:a.example")
        outcome = held.receive(self.invite(ANA, "!r:a.example"), at=NOW)
        assert (outcome.reason, len(outcome.after.invites)) == (Reason.NEW_INVITE, MAX_HELD + 1)

    def test_forgets_the_oldest_ids(self) -> None:
        held = evolve(invited().held, replaced=tuple(map(EventID, map(str, range(MAX_REMEMBERED)))))
        after = held.receive(invited().event("invite"), at=NOW).after
        assert (after.replaced[0], after.replaced[-1]) == ("1", held.event.event_id)


class TestRejectLocally:
    @pytest.mark.parametrize("case", [invited(), knocking()], ids=["invite", "knock"])
    def test_leaves_without_telling_the_room(self, case: Case) -> None:
        held = case.held.reject_locally(at=NOW)
        assert held == evolve(case.held, rejected_locally=True, since=NOW)
        assert held.membership is LEAVE

    def test_forgets_what_was_likely(self) -> None:
        assert invited().held.with_refusal().reject_locally(at=NOW).likely is None

    def test_changes_nothing_the_second_time(self) -> None:
        held = invited().held.reject_locally(at=THEN)
        assert held.reject_locally(at=NOW) is held

    @pytest.mark.parametrize("end", ["leave", "ban"])
    def test_needs_an_invite_or_a_knock(self, end: str) -> None:
        case = invited().after(end)
        with pytest.raises(LocalProtocolError) as caught:
            case.held.reject_locally(at=NOW)
        assert caught.value == LocalProtocolError("an invite or a knock", end)

    @pytest.mark.parametrize("sender", [ANA, BEN])
    def test_ends_when_the_room_hears_of_it(self, sender: str) -> None:
        case = invited()
        held = case.held.reject_locally(at=THEN)
        after = evolve(case, held=held).comes("leave", sender).after
        assert (after.membership, after.rejected_locally) == (LEAVE, False)

    def test_ends_with_a_new_invite(self) -> None:
        case = invited()
        held = case.held.reject_locally(at=THEN)
        outcome = evolve(case, held=held).comes("invite")
        assert (outcome.after.membership, outcome.after.rejected_locally) == (INVITE, False)


class TestWithRefusal:
    @EVERY_VERSION
    def test_by_the_signer_of_the_invite_is_a_contradiction(self, version: RoomVersion) -> None:
        """It is not taken for a withdrawal: the server that has one can send it."""
        held = invited(version).held
        after = held.with_refusal(["c.example", "a.example"])
        assert after == evolve(held, contradicted=True)
        assert (after.membership, after.likely) == (INVITE, None)

    def test_by_another_server_proves_nothing(self) -> None:
        held = invited().held
        assert held.with_refusal(["c.example"]) is held
        assert held.with_refusal([]) is held

    def test_by_the_signer_ends_with_a_new_invite(self) -> None:
        case = invited()
        held = case.held.with_refusal(["a.example"])
        after = evolve(case, held=held).comes("invite").after
        assert (after.contradicted, after.membership) == (False, INVITE)

    def test_is_forgotten_with_the_invite(self) -> None:
        held = invited().held.with_refusal(["a.example"])
        assert held.contradicted
        assert not held.reject_locally(at=NOW).contradicted

    def test_makes_it_likely_that_an_invite_is_stale(self) -> None:
        case = invited()
        assert case.held.with_refusal() == evolve(case.held, likely=LEAVE)

    def test_says_nothing_of_who_is_not_invited(self) -> None:
        held = invited().after("ban").held
        assert held.with_refusal() is held


class TestExpire:
    def test_gives_up_what_is_older(self) -> None:
        held = invited().held
        assert held.expire(at=NOW, after=999) == held.reject_locally(at=NOW)

    @pytest.mark.parametrize("after", [1_000, 1_001])
    def test_keeps_what_is_not(self, after: int) -> None:
        held = invited().held
        assert held.expire(at=NOW, after=after) is held

    def test_keeps_what_has_ended(self) -> None:
        held = invited().after("leave").held
        assert held.expire(at=10 * NOW, after=1) is held


class TestOfRows:
    """A database gives lists, text and numbers."""

    def test_is_the_same(self) -> None:
        held = invited(V11, *TOLD).held.with_refusal(["a.example"]).with_refusal()
        row: dict[str, Any] = {
            "event": held.event,
            "since": held.since,
            "room_state": list(held.room_state),
            "servers": sorted(held.servers),
            "rejected_locally": int(held.rejected_locally),
            "likely": str(held.likely),
            "replaced": list(held.replaced),
            "others": list(held.others),
            "contradicted": int(held.contradicted),
        }
        again = OutOfBand(**row)
        assert (again, hash(again)) == (held, hash(held))
        assert (again.likely, again.contradicted) == (LEAVE, True)
        assert again.servers_seen == held.servers_seen

    def test_has_no_other_membership(self) -> None:
        row: dict[str, Any] = {"event": invited().held.event, "since": THEN, "likely": "gone"}
        with pytest.raises(InvalidMessage):
            OutOfBand(**row)


class TestOfSynapse:
    """A knock at a room of a real Synapse, and the invite with which it was answered."""

    @pytest.mark.parametrize("version", [V8, V10, V11, V12], ids=str)
    def test_accepts_the_knock(self, version: RoomVersion) -> None:
        (sent,) = captures(version.identifier, "send_knock")
        (answered,) = captures(version.identifier, "synapse_invite_after_knock")
        keys = KeyRing.of({**sent.keys, **answered.keys})

        def verified(pdu: Any) -> Event:
            return signing.verify(Event.from_pdu(pdu, version), keys)

        told = [verified(pdu) for pdu in sent.response["knock_room_state"]]
        held = OutOfBand.knocked(verified(sent.request), at=THEN, room_state=told)
        outcome = held.receive(verified(answered.request["event"]), at=NOW)
        assert held.servers_seen == {answered.origin}
        assert (outcome.reason, outcome.transition) == (
            Reason.NEW_INVITE,
            Transition.KNOCK_ACCEPTED,
        )
