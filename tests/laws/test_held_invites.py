"""What strangers send never loses an invite that a server holds for its user.

A stranger is a server that knows the room and the user, and perhaps the IDs of the events
that others sent. It signs what it sends, but nothing in the name of another server.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import V1, V10, V11, V12, Event, RoomVersion, client
from matrix_membership.client import Begin, ClientRequest, read_join
from matrix_membership.identifiers import UserID
from matrix_membership.membership import LEAVE
from matrix_membership.out_of_band import MAX_HELD, MAX_REMEMBERED, OutOfBand, Verdict
from tests.builders import ANA, BEN

OWN: Final = "b.example"
WHERE: Final = ("!r:a.example", "!r:x.example")
"""A room that Ana's server made, and one that another server made."""

VERSIONS: Final = (V1, V10, V11, V12)


@attrs.frozen
class Sent:
    """What a stranger sends.

    Attributes:
        stranger: the number of the server that sends.
        membership: of which kind.
        lists: which of the events that came before it lists, by their number from the end.
        third_party: it says that a third party invites, and names Ana as the sender.
        version: the room version that it claims.
    """

    stranger: int
    membership: str
    lists: tuple[int, ...]
    third_party: bool
    version: RoomVersion


def sendings(*, strangers: int) -> st.SearchStrategy[list[Sent]]:
    """What strangers send, one after the other."""
    return st.lists(
        st.builds(
            Sent,
            stranger=st.integers(1, strangers),
            membership=st.sampled_from(["invite", "leave", "ban", "knock"]),
            lists=st.lists(st.integers(1, 4), max_size=3).map(tuple),
            third_party=st.booleans(),
            version=st.sampled_from(VERSIONS),
        ),
        max_size=30,
    )


def member(
    event_id: str,
    sender: str,
    membership: str,
    *,
    room: str,
    lists: tuple[str, ...] = (),
    version: RoomVersion = V11,
    signers: tuple[str, ...] = (),
    at: int = 0,
    **content: Any,
) -> Event:
    """A member event of Ben's, signed by its sender's server unless others are named."""
    listed = [[found, {}] for found in lists] if version.event_id_in_pdu else list(lists)
    fields = {
        "type": "m.room.member",
        "event_id": event_id,
        "room_id": room,
        "sender": sender,
        "state_key": BEN,
        "content": {"membership": membership, **content},
        "auth_events": listed,
        "origin_server_ts": at,
    }
    event = Event.from_client_event(fields, version)
    return event.with_signers([*(signers or (event.server, OWN)), event.event_id.partition(":")[2]])


@attrs.define
class Inbox:
    """What comes for Ben in one room, and what his server holds."""

    room: str
    held: OutOfBand | None = None
    event_ids: list[str] = attrs.field(factory=list)
    now: int = 0

    def comes(self, event: Event) -> None:
        """Take an event as a server takes it."""
        self.now += 1
        if self.held is not None:
            self.held = self.held.receive(event, at=self.now).after
        elif event.membership is not None and str(event.membership) == "invite":
            self.held = OutOfBand.invited(event, at=self.now)
        self.event_ids.append(event.event_id)

    def sends(self, sent: Sent) -> None:
        """Take what a stranger sends."""
        name = f"s{sent.stranger}.example"
        content: dict[str, Any] = {}
        sender, signers = f"@eve:{name}", (name, OWN)
        if sent.third_party:
            content["third_party_invite"] = {"signed": {"mxid": BEN, "token": "tok"}}
            sender = ANA
        if sent.third_party and sent.membership != "invite":
            return  # only an invite can go without its sender's signature
        lists = tuple(self.event_ids[-back] for back in sent.lists if back <= len(self.event_ids))
        event_id = f"$e{len(self.event_ids)}:{name}"
        event = member(
            event_id,
            sender,
            sent.membership,
            room=self.room,
            lists=lists,
            version=sent.version,
            signers=signers,
            **content,
        )
        self.comes(event)

    def real(self) -> Event:
        """Ana's invite."""
        return member("$real:a.example", ANA, "invite", room=self.room)

    def withdrawn(self) -> Event:
        """The withdrawal of Ana's invite."""
        lists = ("$real:a.example",)
        return member("$gone:a.example", ANA, "leave", room=self.room, lists=lists)


def is_reachable(inbox: Inbox) -> bool:
    """Tell whether Ben's server holds Ana's invite, and asks her server when he accepts it."""
    held = inbox.held
    assert held is not None
    if inbox.real() not in held.invites:
        return False
    request = read_join(UserID(BEN), inbox.room)
    assert isinstance(request, ClientRequest)
    begun = client.join(request, held, at=inbox.now)
    assert isinstance(begun, Begin)
    return "a.example" in begun.servers


class TestARealInvite:
    @settings(max_examples=300)
    @given(
        room=st.sampled_from(WHERE),
        before=sendings(strangers=MAX_HELD - 1),
        after=sendings(strangers=3 * MAX_HELD),
    )
    def test_is_reachable_whatever_strangers_send(
        self, room: str, before: list[Sent], after: list[Sent]
    ) -> None:
        inbox = Inbox(room)
        for sent in before:
            inbox.sends(sent)
        inbox.comes(inbox.real())
        assert is_reachable(inbox)
        for sent in after:
            inbox.sends(sent)
            assert is_reachable(inbox)

    @settings(max_examples=100)
    @given(room=st.sampled_from(WHERE), after=sendings(strangers=9), more=sendings(strangers=9))
    def test_ends_when_its_own_sender_withdraws_it(
        self, room: str, after: list[Sent], more: list[Sent]
    ) -> None:
        inbox = Inbox(room)
        inbox.comes(inbox.real())
        for sent in after:
            inbox.sends(sent)
        inbox.comes(inbox.withdrawn())
        for sent in more:
            inbox.sends(sent)
        inbox.comes(inbox.real())
        assert inbox.held is not None
        assert inbox.real() not in inbox.held.invites

    @settings(max_examples=100)
    @given(room=st.sampled_from(WHERE), after=sendings(strangers=9))
    def test_ends_with_all_others_when_its_user_leaves(self, room: str, after: list[Sent]) -> None:
        inbox = Inbox(room)
        inbox.comes(inbox.real())
        for sent in after:
            inbox.sends(sent)
        held = inbox.held
        assert held is not None
        shown = held.event.event_id
        version = held.event.room_version
        leave = member(
            "$l:b.example", BEN, "leave", room=room, lists=(shown,), version=version, at=99
        )
        inbox.comes(leave)
        assert inbox.held is not None
        assert (inbox.held.membership, inbox.held.invites) == (LEAVE, ())

    @settings(max_examples=50)
    @given(room=st.sampled_from(WHERE), sent=sendings(strangers=3 * MAX_HELD))
    def test_costs_bounded_memory(self, room: str, sent: list[Sent]) -> None:
        inbox = Inbox(room)
        inbox.comes(inbox.real())
        for _ in range(3):
            for one in sent:
                inbox.sends(one)
        held = inbox.held
        assert held is not None
        assert len(held.others) <= MAX_HELD
        assert not any(other.others or other.replaced for other in held.others)
        assert len(held.replaced) <= MAX_REMEMBERED


def full(room: str, count: int = MAX_HELD) -> Inbox:
    """As many strangers' invites as can be held."""
    inbox = Inbox(room)
    for number in range(count):
        inbox.sends(Sent(number, "invite", (), third_party=False, version=V11))
    return inbox


class TestManyStrangers:
    def test_never_take_the_place_of_the_server_that_the_room_id_names(self) -> None:
        inbox = full("!r:a.example")
        inbox.comes(inbox.real())
        assert is_reachable(inbox)
        inbox.sends(Sent(MAX_HELD, "invite", (), third_party=False, version=V11))
        assert is_reachable(inbox)

    def test_fill_what_is_free_and_no_more(self) -> None:
        inbox = full("!r:x.example")
        assert inbox.held is not None
        outcome = inbox.held.receive(inbox.real(), at=99)
        assert (outcome.verdict, outcome.after) == (Verdict.UNKNOWN, inbox.held)
        assert str(outcome) == (
            "unknown: the limit of held invites is reached, all of other servers"
        )

    def test_leave_room_when_their_invites_run_out(self) -> None:
        inbox = full("!r:x.example")
        assert inbox.held is not None
        inbox.held = inbox.held.expire(at=MAX_HELD + 1, after=MAX_HELD - 1)
        assert len(inbox.held.invites) == MAX_HELD - 1
        inbox.comes(inbox.real())
        assert is_reachable(inbox)

    @pytest.mark.parametrize("named", [True, False])
    def test_never_take_the_place_of_who_answers_a_knock(self, *, named: bool) -> None:
        knock = member("$k:b.example", BEN, "knock", room="!r:x.example")
        held = OutOfBand.knocked(knock, at=0, servers=["a.example"] if named else [])
        inbox = Inbox("!r:x.example", held)
        for number in range(MAX_HELD):
            inbox.sends(Sent(number, "invite", (), third_party=False, version=V11))
        inbox.comes(inbox.real())
        assert (inbox.real() in (inbox.held or held).invites) is named

    def test_make_it_forget_only_ids(self) -> None:
        inbox = Inbox("!r:a.example")
        for number in range(MAX_REMEMBERED):
            inbox.sends(Sent(number, "invite", (), third_party=False, version=V11))
            inbox.sends(Sent(number, "leave", (1,), third_party=False, version=V11))
        inbox.comes(inbox.real())
        assert is_reachable(inbox)
        assert inbox.held is not None
        assert len(inbox.held.replaced) == MAX_REMEMBERED
