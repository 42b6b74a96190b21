"""Auth chains by event IDs alone."""

from __future__ import annotations

from matrix_membership.identifiers import EventID
from matrix_membership.resolution._auth_difference import (
    auth_difference,
    chains_of,
    conflicted_state_subgraph,
    full_auth_chain,
)

Edges = dict[str, list[str]]


def listed(edges: Edges, event_id: EventID) -> tuple[EventID, ...]:
    return tuple(EventID(name) for name in edges.get(event_id, ()))


def ids(*names: str) -> set[EventID]:
    return {EventID(name) for name in names}


class TestFullAuthChain:
    def test_holds_all_that_authorises_and_not_the_events_themselves(self) -> None:
        edges = {"d": ["c"], "c": ["a"], "b": ["a"]}
        assert full_auth_chain(ids("d"), lambda e: listed(edges, e), set()) == {"a", "c"}

    def test_ends_where_chains_are_known(self) -> None:
        edges = {"d": ["c", "b"], "c": ["a"], "b": ["a"]}
        found = full_auth_chain(ids("d"), lambda e: listed(edges, e), ids("c", "a"))
        assert found == {"b"}

    def test_has_no_limit_of_depth(self) -> None:
        edges = {str(number): [str(number - 1)] for number in range(1, 50_001)}
        assert len(full_auth_chain(ids("50000"), lambda e: listed(edges, e), set())) == 50_000

    def test_goes_around_a_circle_once(self) -> None:
        edges = {"a": ["b"], "b": ["a"]}
        assert full_auth_chain(ids("a"), lambda e: listed(edges, e), set()) == {"a", "b"}


class TestAuthDifference:
    edges: Edges = {"l": ["x", "a"], "r": ["y", "a"], "u": ["y"], "y": ["a"]}  # noqa: RUF012 - never changed

    def test_leaves_out_what_stands_in_every_chain(self) -> None:
        states = [{("t", ""): EventID(name)} for name in ("l", "r")]
        assert auth_difference(states, {}, lambda e: listed(self.edges, e)) == {"x", "y"}

    def test_leaves_out_what_authorises_the_common_part(self) -> None:
        common = {("u", ""): EventID("u")}
        states = [{("t", ""): EventID(name), **common} for name in ("l", "r")]
        assert auth_difference(states, common, lambda e: listed(self.edges, e)) == {"x"}

    def test_of_equal_states_is_empty(self) -> None:
        state = {("t", ""): EventID("l")}
        assert auth_difference([state, state], state, lambda e: listed(self.edges, e)) == set()


class TestConflictedStateSubgraph:
    def test_holds_the_paths_between_conflicted_events(self) -> None:
        edges = {
            "top": ["middle", "side"],
            "middle": ["bottom"],
            "side": ["root"],
            "bottom": ["root"],
        }
        found = conflicted_state_subgraph(ids("top", "bottom"), lambda e: listed(edges, e))
        assert found == {"top", "middle", "bottom"}

    def test_is_the_same_with_the_chains_at_hand(self) -> None:
        edges = {"top": ["middle"], "middle": ["bottom"], "bottom": ["root"]}
        for common in ("other", "middle", "top"):
            # A path through the chain of the common part, or beside it, or none.
            differing = [list(ids("top")), list(ids("bottom"))]
            unconflicted = {("t", ""): EventID(common)}
            chains = chains_of(differing, unconflicted, lambda e: listed(edges, e))
            found = conflicted_state_subgraph(
                ids("top", "bottom"), lambda e: listed(edges, e), chains
            )
            assert found == {"top", "middle", "bottom"}

    def test_is_the_conflicted_set_where_no_path_enters_it(self) -> None:
        edges = {"a": ["root"], "b": ["root"]}
        chains = chains_of([list(ids("a")), list(ids("b"))], {}, lambda e: listed(edges, e))
        found = conflicted_state_subgraph(ids("a", "b"), lambda e: listed(edges, e), chains)
        assert found == {"a", "b"}

    def test_holds_conflicted_events_that_no_path_connects(self) -> None:
        assert conflicted_state_subgraph(ids("a", "b"), lambda _: ()) == {"a", "b"}
