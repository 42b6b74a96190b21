"""Histories with a planted state reset, and histories without one, by a seed.

A room forks. The newest branch has what everybody sees; the late one was cut off and comes back.
In a planted history one event of the late branch takes something from the newest branch: which
place is lost, and by which event, is known before anything is resolved. All else that happens is
harmless: it takes no power from anybody, and the two branches write to different places.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import attrs

from matrix_membership import RoomVersion
from matrix_membership.identifiers import EventID
from matrix_membership.membership import BAN, LEAVE
from matrix_membership.resolution import resolve
from tests.builders import ANA, BEN, CAY, DAN, VERSIONS
from tests.resolution.forks import Fork, Place, a_fork

__all__ = ["PLANTS", "History", "a_clean_history", "a_planted_history"]

EVE: Final = "@eve:e.example"
FAY: Final = "@fay:f.example"
GUESTS: Final = tuple(f"@guest{number}:{'ab'[number % 2]}.example" for number in range(4))
"""Members without power. Those with an even number act on the newest branch, others on the late one."""

TOPIC: Final = ("m.room.topic", "")
RULES: Final = ("m.room.join_rules", "")
LEVELS: Final = ("m.room.power_levels", "")


@attrs.frozen
class History:
    """A room whose branches meet.

    Attributes:
        shape: the name of what was planted.
        room: the newest branch.
        late: the branch that comes late.
        place: the place that is lost; None in a clean history.
        cause: the event that takes it; None in a clean history.
        branches: the numbers of the states that have the cause, the newest branch being 0.
    """

    shape: str
    room: Fork
    late: Fork
    place: Place | None = None
    cause: EventID | None = None
    branches: tuple[int, ...] = (1,)

    @property
    def state_sets(self) -> list[dict[Place, EventID]]:
        """The states at the ends of the branches, the newest first."""
        return [self.room.state, self.late.state]


@attrs.define
class Sketch:
    """A history while it is made: two branches, and the levels that the late one has."""

    draw: random.Random
    room: Fork
    late: Fork
    users: dict[str, int]
    open: bool = True

    def wander(self, fork: Fork, most: int = 3) -> None:
        """Something harmless happens on one branch."""
        newest = fork is self.room
        for _ in range(self.draw.randrange(most + 1)):
            guest = self.draw.choice(GUESTS[0 if newest else 1 :: 2])
            match self.draw.randrange(3 if newest else 4):
                # In a room that was closed, algorithm 2 would judge the first join again, and refuse it.
                case 0 if self.open:
                    name = {"membership": "join", "displayname": f"{self.draw.randrange(99)}"}
                    fork.add("m.room.member", guest, name, guest)
                case 1:
                    fork.add("x.note", ANA, {"note": self.draw.randrange(99)}, guest[1:])
                case 2:
                    fork.add("x.board", ANA, {}, f"{newest} {self.draw.randrange(3)}")
                case 3:
                    self.relevel({f"@named{self.draw.randrange(9)}:a.example": 10})

    def relevel(self, users: dict[str, int], **levels: int) -> EventID:
        """Ana changes the power levels on the late branch; what she set before stays."""
        self.users.update(users)
        before = self.late.events[self.late.state[LEVELS]].content
        kept = {key: value for key, value in before.items() if key != "users"}
        named = {} if self.late.version.privileged_creators else {ANA: 100}
        content = {**kept, **levels, "users": {**named, **self.users}}
        return self.late.add("m.room.power_levels", ANA, content)


Plant = Callable[[Sketch], tuple[Place, EventID]]


def _change_the_topic(sketch: Sketch) -> Place:
    sketch.wander(sketch.room)
    sketch.room.add("m.room.topic", BEN, {"topic": f"{sketch.draw.randrange(99)}"})
    return TOPIC


def _demote_who_set_the_topic(sketch: Sketch) -> tuple[Place, EventID]:
    cause = sketch.relevel({BEN: sketch.draw.choice((0, 10, 49))})
    return _change_the_topic(sketch), cause


def _raise_what_the_topic_needs(sketch: Sketch) -> tuple[Place, EventID]:
    cause = sketch.relevel({}, state_default=sketch.draw.choice((51, 75, 100)))
    return _change_the_topic(sketch), cause


def _remove_who_set_the_topic(sketch: Sketch) -> tuple[Place, EventID]:
    cause = sketch.late.member(ANA, BEN, sketch.draw.choice((LEAVE, BAN)))
    return _change_the_topic(sketch), cause


def _demote_who_banned(sketch: Sketch) -> tuple[Place, EventID]:
    cause = sketch.relevel({CAY: sketch.draw.choice((0, 25))})
    sketch.wander(sketch.room)
    target = sketch.draw.choice((DAN, EVE))
    sketch.room.member(CAY, target, BAN)
    return ("m.room.member", target), cause


def _close_the_room(sketch: Sketch) -> tuple[Place, EventID]:
    cause = sketch.late.add("m.room.join_rules", ANA, {"join_rule": "invite"})
    sketch.wander(sketch.room)
    sketch.room.member(DAN, DAN)
    return ("m.room.member", DAN), cause


def _expire_the_power_to_unban(sketch: Sketch) -> tuple[Place, EventID]:
    """Ben, who is demoted, had let a banned user back in."""
    cause = sketch.relevel({BEN: sketch.draw.choice((0, 20))})
    sketch.room.member(BEN, FAY, LEAVE)
    sketch.wander(sketch.room)
    sketch.room.member(FAY, FAY)
    return ("m.room.member", FAY), cause


def _expire_the_power_to_authorise(sketch: Sketch) -> tuple[Place, EventID]:
    """A member joined a restricted room through Ben, who may not invite anybody any more."""
    demoted = sketch.draw.random() < 0.5
    cause = sketch.relevel({BEN: 0 if demoted else 50}, invite=20 if demoted else 75)
    sketch.wander(sketch.room)
    content = {"membership": "join", "join_authorised_via_users_server": BEN}
    joined = sketch.room.add("m.room.member", DAN, content, DAN)
    event = sketch.room.events[joined]
    sketch.room.events[joined] = event.with_signers({event.server, "b.example"})
    return ("m.room.member", DAN), cause


def _leave_after_having_set_the_rules(sketch: Sketch) -> tuple[Place, EventID]:
    """Both branches change the join rules; then their sender leaves, which nobody disputes."""
    for fork, rule in ((sketch.late, "knock"), (sketch.room, "invite")):
        sketch.wander(fork)
        fork.add("m.room.join_rules", BEN, {"join_rule": rule})
    cause = sketch.room.member(BEN, BEN, LEAVE)
    sketch.late.state["m.room.member", BEN] = cause
    return RULES, cause


def _go_back_to_the_first_levels(sketch: Sketch) -> tuple[Place, EventID]:
    """The late state has the first power levels, and a member whom the second ones authorise."""
    room, first = sketch.room, sketch.room.state[LEVELS]
    room.levels(ANA, {BEN: 50, CAY: 100})
    room.add("x.note", CAY, {}, DAN)
    sketch.late.state["x.note", DAN] = room.state["x.note", DAN]
    room.levels(CAY, {BEN: 60, CAY: 100})
    sketch.wander(room)
    return LEVELS, first


PLANTS: Final[dict[str, tuple[Plant, tuple[RoomVersion, ...], tuple[int, ...]]]] = {
    "demoted, topic": (_demote_who_set_the_topic, VERSIONS[1:], (1,)),
    "raised, topic": (_raise_what_the_topic_needs, VERSIONS[1:], (1,)),
    "removed, topic": (_remove_who_set_the_topic, VERSIONS[1:], (1,)),
    "demoted, ban": (_demote_who_banned, VERSIONS[1:], (1,)),
    "closed, join": (_close_the_room, VERSIONS[1:], (1,)),
    "expired, unban": (_expire_the_power_to_unban, VERSIONS[1:], (1,)),
    "expired, join": (_expire_the_power_to_authorise, VERSIONS[7:], (1,)),
    # Version 12 was made so that these two do not happen.
    "left, join rules": (_leave_after_having_set_the_rules, VERSIONS[1:11], (0, 1)),
    "replayed, levels": (_go_back_to_the_first_levels, VERSIONS[1:11], (0, 1)),
}
"""What may be planted: how, in which versions, and which states have the cause."""

RULE_OF: Final = {"expired, join": "restricted"}
"""The join rule of the room before it forks, where it is not public."""


def a_planted_history(seed: int) -> History:
    """The planted history of a seed. Each run of seeds has all shapes equally often."""
    draw = random.Random(seed)
    shape = list(PLANTS)[seed % len(PLANTS)]
    plant, versions, branches = PLANTS[shape]
    sketch = _begun(
        draw, draw.choice(versions), RULE_OF.get(shape, "public"), closing=shape == "closed, join"
    )
    if shape not in ("left, join rules", "replayed, levels"):
        sketch.wander(sketch.late)
    place, cause = plant(sketch)
    if shape not in ("left, join rules", "replayed, levels"):
        sketch.wander(sketch.late)
    sketch.wander(sketch.room)
    return History(shape, sketch.room, sketch.late, place, cause, branches)


def a_clean_history(seed: int) -> History:
    """The clean history of a seed: what is not as before was changed by something newer."""
    draw = random.Random(seed)
    sketch = _begun(draw, draw.choice(VERSIONS), draw.choice(("public", "public", "invite")))
    shape = draw.choice(("grown", "apart", "rivals", "kicked", "banned"))
    room, late = sketch.room, sketch.late
    for _ in range(draw.randrange(1, 4)):
        sketch.wander(room)
        if shape == "rivals":
            # Without new power levels on one side only time decides between them.
            draw.choice((room, late)).add("m.room.topic", draw.choice((ANA, BEN)), {})
        elif shape != "grown":
            sketch.wander(late)
    if shape == "kicked":
        late.member(*draw.choice(((ANA, CAY), (BEN, EVE))), LEAVE)
    if shape == "banned":
        late.member(draw.choice((ANA, BEN, CAY)), draw.choice((DAN, EVE)), BAN)
    return History(shape, room, late)


def _begun(
    draw: random.Random, version: RoomVersion, rule: str, *, closing: bool = False
) -> Sketch:
    """A room before it forks, which may have forked and healed before."""
    room = a_fork(version)
    for guest in (*GUESTS, EVE):
        room.member(guest, guest)
    if draw.random() < 0.5:
        room.add("m.room.topic", ANA, {"topic": "first"})
    room.member(ANA, FAY, BAN)
    if rule != "public":
        room.add("m.room.join_rules", ANA, {"join_rule": rule})
    users = {BEN: 50, CAY: 50}
    if draw.random() < 0.3:
        healed = Sketch(draw, room, room.branch(), users, rule == "public" and not closing)
        healed.wander(healed.late)
        healed.wander(room)
        found = resolve(version, [room.state, healed.late.state], room.events)
        room.state = dict(found.state)
    return Sketch(draw, room, room.branch(), users, rule == "public" and not closing)
