"""Find the smallest changes after which a rejected event would be allowed.

A change is one thing that somebody does: invite, unban, set a level or the join rule, send
the event in place of its sender, authorise the join. The search tries every set of up to
three changes: it has the engine judge each change, sent by a user who may make it, and then
the event. So a remedy is never a guess.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import combinations, islice

from matrix_membership._attrs import constant, evolve, frozen
from matrix_membership.auth._rule import Decision
from matrix_membership.auth.explaining._changes import (
    VIA,
    Move,
    Repair,
    evidence,
    invite,
    join_rule,
    joins,
    levels_move,
    rewritten,
    sent_by,
    state_after,
    state_event,
    unban,
)
from matrix_membership.auth.explaining.levels import acts, levels_content, listed, needed_levels
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS, PowerLevels, SignedInvite
from matrix_membership.events.event import supposed
from matrix_membership.identifiers import UserID, is_user_id, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, JoinRule
from matrix_membership.restricted import is_restricted, rooms_to_check
from matrix_membership.state import CREATOR_POWER_LEVEL, RoomState

Judge = Callable[[Event, RoomState], Decision]

# Three cover a banned user who wants to send a message: unban, invite, join. Sets of four would
# multiply the search.
_AT_ONCE = 3
"""The most changes in one remedy."""

_MAKERS = 10
"""The most users named who can make a change."""

_ROOMS = 3
"""The most rooms that a sentence names whose members may join."""

_CANDIDATES = 12
"""The most joined users tried for who can make a change, the most powerful first."""

MOST_LEVELS_COMPARED = 100_000
"""The most levels that one search compares before it ends with the remedies found so far.

Judging power levels compares each level of the room and of the event; other events cost
little. With 100 users in both, this allows five hundred judgements, more than any search
makes.
"""


@frozen
class Remedy:
    """Changes, in order, after which the event is allowed. Each of them is needed.

    Attributes:
        changes: the changes.
        event: the event after those changes that concern it.
        decision: the verdict on it after all changes.
    """

    changes: tuple[Repair, ...]
    event: Event
    decision: Decision

    @property
    def sentence(self) -> str:
        """The changes and the verdict in one sentence."""
        steps = "; then ".join(map(str, self.changes))
        return f"{steps}: {self.decision}"

    def __str__(self) -> str:
        return self.sentence

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the remedy as a JSON object."""
        return {
            "sentence": self.sentence,
            "changes": [change.to_dict() for change in self.changes],
            "decision": {"rule": self.decision.rule, "number": self.decision.number},
        }


def find_remedies(event: Event, state: RoomState, judge: Judge) -> tuple[Remedy, ...]:
    """Find the changes after which a rejected event would be allowed.

    Args:
        event: the event that was rejected.
        state: the state that it was judged against.
        judge: the engine, `auth.check`.

    Returns:
        The remedies, those with fewer changes first. No remedy contains all changes of
        another one. The list ends early if judging power levels takes more than
        `MOST_LEVELS_COMPARED` comparisons. Cost: some hundred checks; linear in the size of
        the power levels and of the event.
    """
    found: list[Remedy] = []
    try:
        found.extend(_found(event, state, _Judge(judge).judge))
    except IncompleteState:  # a change could fail on what the state leaves out
        return ()
    except _TooManyLevelsError:
        pass
    return tuple(found)


class _TooManyLevelsError(Exception):
    """The search has used up its comparisons of levels."""


class _Judge:
    """The engine of one search, with a count of the levels compared."""

    def __init__(self, engine: Judge) -> None:
        self.engine = engine
        self.left = MOST_LEVELS_COMPARED

    def judge(self, event: Event, state: RoomState) -> Decision:
        if isinstance(event.view, PowerLevels):
            self.left -= _size(event.view) + _size(state.power_levels)
            if self.left < 0:
                raise _TooManyLevelsError
        return self.engine(event, state)


def _size(levels: PowerLevels) -> int:
    return len(levels.users) + len(levels.events) + len(levels.notifications)


def _found(event: Event, state: RoomState, judge: Judge) -> Iterator[Remedy]:
    written = listed(state) | _involved(event, state)
    powerful, plain = _powerful(event, state, written), _plain_member(state, written)
    search = _Search(event, state, judge, powerful, plain, {})
    moves = tuple(search.moves())
    found: list[frozenset[Move]] = []
    for size in range(1, _AT_ONCE + 1):
        for chosen in combinations(moves, size):
            # Two changes of one thing cancel each other: the later one counts, and was tried alone.
            if len({move.slot for move in chosen}) < size:
                continue
            # A set that holds a remedy helps as well, but not all of it is needed.
            if any(smaller <= frozenset(chosen) for smaller in found):
                continue
            remedy = search.remedy(chosen)
            if remedy is not None:
                found.append(frozenset(chosen))
                yield remedy


@constant
class _Search:
    """The rejected event in its room, the engine, and users who could change it."""

    event: Event
    state: RoomState
    judge: Judge
    powerful: tuple[UserID, ...]
    plain: UserID | None
    made: dict[Move, Event]  # the state events of changes, each made once

    def event_of(self, move: Move) -> Event:
        """Return the state event of a change, made once."""
        event = self.made.get(move)
        if event is None:
            event = self.made[move] = state_event(move.change, self.event.sender, self.state)
        return event

    def remedy(self, moves: tuple[Move, ...]) -> Remedy | None:
        """Return these moves as a remedy, if they help and somebody can make each."""
        event, state = self.event, self.state
        for move in moves:
            if move.event is None:
                state = state_after(state, self.event_of(move))
            else:
                event = move.event
        # First whether the changes help, then who could make them: most sets do not help, and
        # finding who could costs a dozen judgements for each change.
        decision = self.judge(event, state)
        changes = self._made(moves) if decision else None
        return None if changes is None else Remedy(changes, event, decision)

    def _made(self, moves: tuple[Move, ...]) -> tuple[Repair, ...] | None:
        """Return the changes with their makers; None if nobody can make one of them."""
        state = self.state
        changes: list[Repair] = []
        for move in moves:
            change = move.change
            if move.event is None:
                change = self._with_makers(move, state)
                if not change.makers and not change.anyone_joined:
                    return None
                state = state_after(state, self.event_of(move))
            changes.append(change)
        return tuple(changes)

    def _with_makers(self, move: Move, state: RoomState) -> Repair:
        event = self.event_of(move)

        def may(user: UserID) -> bool:
            # Judged in the state that the changes before it leave: an invite may only be possible
            # after the unban.
            return self.judge(supposed(event, sender=user), state).allowed

        if move.by is not None:
            return evolve(move.change, makers=(move.by,) if may(move.by) else ())
        makers = tuple(islice(filter(may, self.powerful), _MAKERS))
        anyone = self.plain is not None and may(self.plain)
        return evolve(move.change, makers=makers, anyone_joined=anyone)

    def moves(self) -> Iterator[Move]:
        """Yield the changes that could matter to the verdict, in order."""
        event, state = self.event, self.state
        sender, target = event.sender, UserID(event.state_key or "")
        is_member = event.type == "m.room.member"
        yield from self._sent_by_another()
        yield from evidence(event)
        if is_member and event.membership in (JOIN, INVITE, KNOCK):
            yield from unban(target, state)
        if is_member and sender == target:
            if event.membership is JOIN:
                yield from invite(target, state)
                yield from join_rule(event, state, JoinRule.PUBLIC)
                yield from self._authorised_by_a_member()
            elif event.membership is KNOCK:
                restricted = is_restricted(state)
                rule = JoinRule.KNOCK_RESTRICTED if restricted else JoinRule.KNOCK
                yield from join_rule(event, state, rule)
        else:
            yield from unban(sender, state)
            yield from invite(sender, state)
            yield from joins(sender, state)
            yield from self._levels()

    def _sent_by_another(self) -> Iterator[Move]:
        """Let somebody else send the event."""
        event = self.event
        # A user who leaves is not kicked.
        kept_out = {event.sender, event.state_key if event.membership is LEAVE else None}

        def may(user: UserID) -> bool:
            if user in kept_out:
                return False
            return self.judge(supposed(event, sender=user), self.state).allowed

        makers = tuple(islice(filter(may, self.powerful), _MAKERS))
        anyone = self.plain is not None and may(self.plain)
        sender = makers[0] if makers else self.plain
        if sender is not None and (makers or anyone):
            change = Repair("somebody else sends it", makers, anyone_joined=anyone)
            yield Move(change, "event", event=sent_by(sender, event))

    def _authorised_by_a_member(self) -> Iterator[Move]:
        """Let a joined member who may invite authorise the join."""
        state = self.state
        if not is_restricted(state):
            return
        candidates = [*self.powerful, *([] if self.plain is None else [self.plain])]
        able = [
            user
            for user in candidates
            if state.membership_of(user) is JOIN
            and state.power_level_of(user) >= state.power_levels.invite
        ]
        if able:
            servers = tuple(dict.fromkeys(map(server_of, able)))[:_MAKERS]
            content = {**self.event.content, VIA: able[0]}
            event = rewritten(self.event, content, {*self.event.signed_by, server_of(able[0])})
            sentence = f"the join names a member who may invite in {VIA}, whose server signs it"
            # The rules do not ask about the rooms, but every server that signs does.
            rooms = rooms_to_check(state)
            if rooms:
                named = " or ".join(
                    [*rooms[:_ROOMS], *(["another room"] if rooms[_ROOMS:] else [])]
                )
                sentence = f"join {named}; {sentence}"
            change = Repair(
                sentence, tuple(able[:_MAKERS]), servers=servers, content=freeze(content)
            )
            yield Move(change, "event", event=event)

    def _levels(self) -> Iterator[Move]:
        """Give the sender more power, lower the level needed, or lower the target user's."""
        event, state = self.event, self.state
        sender, target = event.sender, event.state_key or ""
        own = state.power_level_of(sender)
        if own >= CREATOR_POWER_LEVEL:
            return
        asked = {needed.path: needed.level for needed in needed_levels(event, state)}
        needed = max(asked.values(), default=own)
        if event.type == "m.room.member" and event.membership in (LEAVE, BAN):
            above = state.power_level_of(target) + 1
            needed = max(needed, above)
            # A creator of version 12 stays out of reach: the level cannot be lowered.
            if own < above <= CREATOR_POWER_LEVEL:
                sentence = f"lower the power level of {target} to {own - 1}"
                yield levels_move(sentence, {("users", target): own - 1}, state)
        if event.type == "m.room.power_levels":
            needed = self._sufficient(needed)
        if own < needed < CREATOR_POWER_LEVEL:
            sentence = f"raise the power level of {sender} to {needed}"
            yield levels_move(sentence, {("users", sender): needed}, state)
        too_high = [path for path, level in asked.items() if level > own]
        if too_high:
            names = " and ".join(".".join(path) for path in too_high)
            sentence = f"lower the level of {names} to {own}"
            yield levels_move(sentence, dict.fromkeys(too_high, own), state)

    def _sufficient(self, at_least: int) -> int:
        """Return the lowest level at which the sender may change these power levels."""
        view, before = self.event.view, self.state.power_levels
        after = view if isinstance(view, PowerLevels) else before
        levels = {at_least}
        for side in (before, after):
            named = [getattr(side, name) for name in NAMED_LEVELS]
            values = (*named, *side.users.values(), *side.events.values())
            levels.update(*((v, v + 1) for v in (*values, *side.notifications.values())))
        # The verdict changes only at a level of either event, or one above it, since users are
        # compared by "not below". A search by halves then needs few judgements of the whole event.
        candidates = sorted(level for level in levels if level >= at_least)

        sender = self.event.sender
        content = levels_content({("users", sender): at_least}, self.state)
        change = Repair("", type="m.room.power_levels", content=freeze(content))
        raised = state_event(change, sender, self.state)
        told = raised.view
        assert isinstance(told, PowerLevels)  # noqa: S101 - the view of that type

        def suffices(level: int) -> bool:
            # Only the view differs: reading an event anew for each level tried would cost its size
            # each time.
            view = evolve(told, users=JsonObject({**told.users, sender: level}))
            state = state_after(self.state, supposed(raised, view=view))
            return self.judge(self.event, state).allowed

        return candidates[bisect_left(candidates, True, key=suffices, hi=len(candidates) - 1)]  # noqa: FBT003 - what is sought


# ------------------------------------------------------------------ who could


def _involved(event: Event, state: RoomState) -> set[str]:
    """Return the users involved in the event."""
    found = {event.sender, event.state_key or ""}
    if isinstance(event.view, SignedInvite) and event.view.token is not None:
        stored = state.get("m.room.third_party_invite", event.view.token)
        found.update(() if stored is None else (stored.sender,))
    return found


def _powerful(event: Event, state: RoomState, written: set[str]) -> tuple[UserID, ...]:
    """Return the users to try, the most powerful first.

    A user who is not joined can change hardly anything, and the most powerful can do all that
    others can: so the first twelve suffice. In a room of 5,500 levels trying all took 64 s.
    """
    ranked = sorted(
        filter(is_user_id, written), key=lambda user: (-state.power_level_of(user), user)
    )
    able = (user for user in ranked if acts(user, state))
    first = {*islice(able, _CANDIDATES), *_involved(event, state)}
    return tuple([user for user in ranked if user in first])


def _plain_member(state: RoomState, written: set[str]) -> UserID | None:
    """Return a joined member of default power, if the state knows one."""
    with suppress(IncompleteState):
        return next((user for user in state.joined_members() if user not in written), None)
    return None
