"""Make a situation smaller while it shows the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.proposals.situations import Situation


def shrunk(situation: Situation, shows: Callable[[Situation], bool]) -> Situation:
    """Leave out all that a situation does not need.

    Args:
        situation: the situation.
        shows: tells whether another one shows the same.

    Returns:
        The situation with only those parts that it needs. Cost: at most one question for
        each pair of its parts.
    """
    for smaller in _smaller(situation):
        if shows(smaller):
            return shrunk(smaller, shows)
    return situation


def _smaller(situation: Situation) -> Iterator[Situation]:
    """Yield the situation without one of its parts: whole events first, then keys."""
    state = situation.state
    # From the end: what comes last depends on what comes first, seldom the other way round.
    for index in reversed(range(len(state))):
        yield evolve(situation, state=(*state[:index], *state[index + 1 :]))
    for index, event in enumerate(state):
        for smaller in _without_a_key(event):
            yield evolve(situation, state=(*state[:index], smaller, *state[index + 1 :]))
    for smaller in _without_a_key(situation.event):
        yield evolve(situation, event=smaller)


def _without_a_key(event: JsonObject) -> Iterator[JsonObject]:
    """Yield an event without one part of its content."""
    for content in _lesser(event["content"]):
        yield JsonObject({**event, "content": content})


def _lesser(value: JsonValue) -> Iterator[JsonValue]:
    """Yield a value without one of its keys or entries, at any depth."""
    if isinstance(value, Mapping):
        for key in value:
            yield JsonObject({name: inner for name, inner in value.items() if name != key})
        for key, inner in value.items():
            for lesser in _lesser(inner):
                yield JsonObject({**value, key: lesser})
    elif isinstance(value, tuple):
        for index in range(len(value)):
            yield (*value[:index], *value[index + 1 :])
