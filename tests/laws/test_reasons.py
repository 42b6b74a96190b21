"""A refusal of a client's request names a fact that is true and that decides.

Each sentence has a row: the fact, and what changes it. If that fact alone changes, the answer or the sentence changes.
The explanation of the same event shows the fact too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from matrix_membership import JoinRule, Membership, RoomState, RoomVersion, auth
from matrix_membership.client import (
    ban,
    forget,
    invite,
    join,
    kick,
    knock,
    leave,
    set_membership,
    unban,
)
from matrix_membership.federation import MatrixError
from matrix_membership.identifiers import server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.receipt.server_acl import permits
from matrix_membership.room_versions import V11
from tests.builders import ANA, CAY, DAN, VERSIONS, Room
from tests.client.rooms import about, forgets, joins, knocks, leaves, resident, sets

SPACE: Final = "!s:a.example"
ZOE: Final = "@zoe:z.example"
MEMBERSHIPS: Final = (JOIN, INVITE, KNOCK, LEAVE, BAN, None)
LEVELS: Final = (0, 50, 100)


@attrs.frozen
class Case:
    """Dan of a.example asks for something, perhaps about another user, in a room of Ana's or of Zoe's."""

    ask: str
    target: str
    version: RoomVersion
    creator: str
    federate: bool
    rule: JoinRule | str | None
    allow: bool
    elsewhere: Membership | None
    dan: Membership | None
    other: Membership | None
    levels: dict[str, int]
    users: dict[str, int]
    shut_out: bool

    @property
    def room(self) -> Room:
        """The room."""
        content = {"room_version": self.version.identifier, "m.federate": self.federate}
        if self.version.creator_in_content:
            content["creator"] = self.creator
        room = Room(self.version).with_content("m.room.create", content, sender=self.creator)
        room = room.with_member(self.creator, JOIN).with_levels(self.users, **self.levels)
        if self.rule is not None:
            allow = [{"type": "m.room_membership", "room_id": SPACE}] if self.allow else []
            room = room.with_join_rule(self.rule, allow=allow)
        if self.shut_out:
            room = room.with_content("m.room.server_acl", {"allow": ["a.example", "z.example"]})
        for user, membership in ((DAN, self.dan), (CAY, self.other)):
            if membership is not None:
                room = room.with_member(user, membership)
        return room

    @property
    def state(self) -> RoomState:
        """Its state."""
        return self.room.state

    def answer(self) -> Any:
        """The answer to Dan."""
        room, known = self.room, resident(self.room)
        if self.ask == "forget":
            return forget(forgets(DAN, room.room_id), known)
        if self.ask in OF_ONESELF:
            read, act = OF_ONESELF[self.ask]
            return act(read(DAN, room.room_id), known, at=9, **self.looked_up)
        if self.ask in ABOUT:
            return ABOUT[self.ask](about(DAN, room.room_id, self.target), known, at=9)
        request = sets(DAN, room.room_id, self.target, self.ask.removesuffix(" for"))
        return set_membership(request, known, at=9, **self.looked_up)

    @property
    def looked_up(self) -> dict[str, Any]:
        """What is known of Dan elsewhere, for a join."""
        return {"memberships": {SPACE: self.elsewhere}} if self.ask.startswith("join") else {}

    @property
    def event(self) -> Any:
        """The member event that Dan asks for."""
        wanted = {"join for": "join", "knock for": "knock", "kick": "leave", "unban": "leave"}
        membership = wanted.get(self.ask, self.ask)
        target = self.target if self.ask in (*ABOUT, "join for", "knock for") else DAN
        return self.room.member(DAN, target, membership)


OF_ONESELF: Final[dict[str, tuple[Callable[..., Any], Callable[..., Any]]]] = {
    "join": (joins, join),
    "knock": (knocks, knock),
    "leave": (leaves, leave),
}
ABOUT: Final[dict[str, Callable[..., Any]]] = {
    "invite": invite,
    "kick": kick,
    "ban": ban,
    "unban": unban,
}
ASKS: Final = ("join for", "knock for", "forget", *OF_ONESELF, *ABOUT)

CASES: Final = st.builds(
    Case,
    ask=st.sampled_from(ASKS),
    target=st.sampled_from((CAY, DAN)),
    version=st.sampled_from(VERSIONS),
    creator=st.sampled_from((ANA, ZOE)),
    federate=st.sampled_from((True, True, True, False)),
    rule=st.sampled_from((None, "of my own", *JoinRule, "restricted")),
    allow=st.booleans(),
    elsewhere=st.sampled_from(MEMBERSHIPS),
    dan=st.sampled_from((*MEMBERSHIPS, JOIN, JOIN)),
    other=st.sampled_from(MEMBERSHIPS),
    levels=st.fixed_dictionaries(
        {name: st.sampled_from(LEVELS) for name in ("invite", "kick", "ban")}
    ),
    users=st.fixed_dictionaries({user: st.sampled_from(LEVELS) for user in (DAN, CAY)}),
    shut_out=st.booleans(),
)

# Cases of the sentences that are seldom drawn.
PLAIN: Final = Case(
    ask="join",
    target=CAY,
    version=V11,
    creator=ZOE,
    federate=True,
    rule="restricted",
    allow=True,
    elsewhere=None,
    dan=None,
    other=None,
    levels={"invite": 50, "kick": 50, "ban": 50},
    users={DAN: 50, CAY: 0},
    shut_out=False,
)
SELDOM: Final = (
    PLAIN,
    attrs.evolve(PLAIN, elsewhere=JOIN),
    attrs.evolve(PLAIN, elsewhere=LEAVE),
    attrs.evolve(PLAIN, ask="invite", creator=ANA, dan=JOIN, federate=False),
    attrs.evolve(PLAIN, ask="invite", dan=JOIN, shut_out=True),
    attrs.evolve(PLAIN, ask="invite", dan=JOIN, rule="private"),
    attrs.evolve(PLAIN, ask="knock", dan=INVITE, rule="knock"),
)

Holds = Callable[[Case, re.Match[str]], bool]
Change = Callable[[Case], Case]


@attrs.frozen
class Reason:
    """A sentence, the fact that it names, a change of that fact, and the fact's name in explanations."""

    sentence: str
    holds: Holds
    change: Change
    fact: str = ""


def of(case: Case, user: str) -> Membership:
    """The membership of a user."""
    return case.state.membership_of(user)


def with_(**fields: Any) -> Change:
    """Change fields of a case."""
    return lambda case: attrs.evolve(case, **fields)


def with_level(user: str, level: int) -> Change:
    """Change a user's power level."""
    return lambda case: attrs.evolve(case, users={**case.users, user: level})


def with_somebody_who_may_invite(case: Case) -> Case:
    """Let Ana, who is joined, invite."""
    return attrs.evolve(case, creator=ANA, levels={**case.levels, "invite": 0})


def nobody_may_invite(case: Case) -> bool:
    """Tell whether no joined user has the invite level."""
    state = case.state
    return all(
        state.power_level_of(user) < state.power_levels.invite for user in state.joined_members()
    )


def too_low(case: Case, told: re.Match[str]) -> bool:
    """Tell whether Dan's level and the one that is needed are as told, and the first is lower."""
    level = {"invite": "invite", "remove": "kick", "ban": "ban", "unban": "ban"}[told["verb"]]
    own, needed = case.state.power_level_of(DAN), getattr(case.state.power_levels, level)
    return bool((str(own), str(needed)) == (told["own"], told["needed"]) and own < needed)


def unknown_rule(case: Case) -> bool:
    """Tell whether the version does not know the join rule."""
    return case.state.join_rule not in case.version.join_rules


def closed_to(case: Case, user: str) -> bool:
    """Tell whether the room is closed to a user's server."""
    return not case.federate and server_of(user) != server_of(case.creator)


OF_DAN: Final = f"membership of {DAN}"
OF_CAY: Final = f"membership of {CAY}"
LEVEL_OF_DAN: Final = f"power level of {DAN}"
IS_OUT: Final[Holds] = lambda case, _: of(case, DAN) is not JOIN  # noqa: E731 - a row's fact

REASONS: Final = (
    Reason(
        "you are banned from this room",
        lambda case, _: of(case, DAN) is BAN,
        with_(dan=None),
        OF_DAN,
    ),
    Reason(
        "you are not invited to this room",
        lambda case, _: of(case, DAN) not in (INVITE, JOIN),
        with_(dan=INVITE),
        OF_DAN,
    ),
    Reason(
        "the join rule of this room, '.*', lets nobody in: room version [0-9]+ does not know it",
        lambda case, _: unknown_rule(case),
        with_(rule="invite"),
        "join rule",
    ),
    Reason(
        "you are not invited, and this room names no other room whose members may join",
        lambda case, _: of(case, DAN) is not INVITE and not case.state.allow,
        with_(allow=True, elsewhere=JOIN),
        "rooms whose members may join",
    ),
    Reason(
        "you are not invited, and in none of the rooms whose members may join",
        lambda case, _: of(case, DAN) is not INVITE and case.elsewhere not in (JOIN, None),
        with_(elsewhere=JOIN),
        "rooms whose members may join",
    ),
    Reason(
        "this server cannot see whether you are in a room whose members may join",
        lambda case, _: case.elsewhere is None,
        with_(elsewhere=JOIN),
    ),
    Reason(
        "nobody in this room may invite, so nobody can let you in",
        lambda case, _: nobody_may_invite(case),
        with_somebody_who_may_invite,
    ),
    Reason(
        "room version (?P<version>[0-9]+) has no knocking",
        lambda case, told: told["version"] == str(case.version) and not case.version.knocking,
        with_(version=V11),
    ),
    Reason(
        "this room is not set up for knocking",
        lambda case, _: (
            case.rule not in (JoinRule.KNOCK, JoinRule.KNOCK_RESTRICTED)
            or case.rule not in case.version.join_rules
        ),
        with_(rule="knock"),
        "join rule",
    ),
    Reason(
        "you are invited to this room already: join it",
        lambda case, _: of(case, DAN) is INVITE,
        with_(dan=None),
        OF_DAN,
    ),
    Reason(
        "you are in this room already",
        lambda case, _: of(case, DAN) is JOIN,
        with_(dan=None),
        OF_DAN,
    ),
    Reason("you are not in this room", IS_OUT, with_(dan=JOIN), OF_DAN),
    Reason(
        f"{CAY} is banned from this room",
        lambda case, _: of(case, CAY) is BAN,
        with_(other=None),
        OF_CAY,
    ),
    Reason(
        f"{CAY} is in this room already",
        lambda case, _: of(case, CAY) is JOIN,
        with_(other=None),
        OF_CAY,
    ),
    Reason(
        f"{DAN} is in this room already",
        lambda case, _: of(case, DAN) is JOIN,
        with_(dan=None),
        OF_DAN,
    ),
    Reason(
        "your power level is too low to (?P<verb>[a-z]+) users: "
        "(?P<own>[0-9]+), and (?P<needed>[0-9]+) is needed",
        too_low,
        with_level(DAN, 101),
        LEVEL_OF_DAN,
    ),
    Reason(
        f"the power level of {CAY} is not below yours",
        lambda case, _: case.state.power_level_of(CAY) >= case.state.power_level_of(DAN),
        with_level(CAY, -1),
        f"power level of {CAY}",
    ),
    Reason(
        "you cannot ban yourself",
        lambda case, _: case.target == DAN,
        with_(target=CAY),
        LEVEL_OF_DAN,
    ),
    Reason(
        f"{CAY} is not in this room",
        lambda case, _: of(case, CAY) in (LEAVE, BAN),
        with_(other=JOIN),
    ),
    Reason(
        f"(?P<user>{CAY}|{DAN}) is not banned from this room",
        lambda case, told: of(case, told["user"]) is not BAN,
        with_(dan=BAN, other=BAN),
    ),
    Reason(
        "this room is closed to other servers",
        lambda case, _: closed_to(case, DAN),
        with_(federate=True),
        "federation",
    ),
    Reason(
        f"this room is closed to other servers: {CAY} can never join it",
        lambda case, _: closed_to(case, CAY),
        with_(federate=True),
    ),
    Reason(
        "the server ACL of this room shuts out c.example",
        lambda case, _: not permits(case.state, "c.example"),
        with_(shut_out=False),
    ),
    Reason(
        "you cannot (join|knock) for another user",
        lambda case, _: case.target != DAN,
        with_(target=DAN),
    ),
    Reason(
        "you are in this room: leave it first",
        lambda case, _: of(case, DAN) is JOIN,
        with_(dan=LEAVE),
    ),
    Reason(
        "you are invited to this room: reject the invite first",
        lambda case, _: of(case, DAN) is INVITE,
        with_(dan=LEAVE),
    ),
    Reason(
        "you have knocked on this room: retract the knock first",
        lambda case, _: of(case, DAN) is KNOCK,
        with_(dan=LEAVE),
    ),
)


def reason_for(sentence: str) -> tuple[Reason, re.Match[str]]:
    """The row of a sentence."""
    ((reason, told),) = [
        (reason, told)
        for reason in REASONS
        if (told := re.fullmatch(reason.sentence, sentence)) is not None
    ]
    return reason, told


def error_of(case: Case) -> str:
    """The sentence of a refusal; empty for any other answer."""
    answer = case.answer()
    return answer.error if isinstance(answer, MatrixError) else ""


def with_seldom_ones(law: Callable[[Case], None]) -> Callable[[], None]:
    """Try a law on drawn cases, and on those that are seldom drawn."""
    for case in SELDOM:
        law = example(case)(law)
    return given(CASES)(law)


@with_seldom_ones
def test_the_fact_in_a_refusal_is_true_and_decides(case: Case) -> None:
    sentence = error_of(case)
    if sentence:
        reason, told = reason_for(sentence)
        assert reason.holds(case, told), sentence
        assert error_of(reason.change(case)) != sentence


@with_seldom_ones
def test_the_explanation_shows_the_fact(case: Case) -> None:
    answer = case.answer()
    if isinstance(answer, MatrixError) and answer.decision is not None:
        reason, _ = reason_for(answer.error)
        explanation = auth.explain(case.event, case.state)
        if explanation:  # the invite is allowed; the join would not be
            invited = case.room.with_member(CAY, INVITE)
            explanation = auth.explain(invited.join(CAY), invited.state)
        assert explanation.decision == answer.decision
        assert reason.fact in {"", *(fact.name for fact in explanation.facts)}
