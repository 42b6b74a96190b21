"""Errors."""

from __future__ import annotations

import pickle

import pytest

from matrix_membership import errors
from matrix_membership.errors import (
    IncompleteState,
    InvalidEvent,
    InvalidJson,
    LocalProtocolError,
    MatrixMembershipError,
    RemoteProtocolError,
    UnknownRoomVersion,
    shown,
)

ALL = [
    InvalidEvent("depth", "an integer", "x"),
    InvalidJson("JSON", "an integer"),
    UnknownRoomVersion(5),
    IncompleteState("heroes", "all members"),
    LocalProtocolError("this", "that"),
    RemoteProtocolError("this", "that", "M_UNKNOWN", 502),
]


class TestErrors:
    @pytest.mark.parametrize("error", ALL, ids=str)
    def test_are_values(self, error: MatrixMembershipError) -> None:
        again = pickle.loads(pickle.dumps(error))
        assert again == error
        assert hash(again) == hash(error)
        assert error != MatrixMembershipError(*error.args)
        assert error != "x"

    @pytest.mark.parametrize("error", ALL, ids=str)
    def test_say_what_was_expected_and_what_came(self, error: MatrixMembershipError) -> None:
        assert "expected" in str(error)

    def test_are_of_one_tree(self) -> None:
        for name in errors.__all__:
            assert issubclass(getattr(errors, name), MatrixMembershipError)

    def test_of_one_class_differ_by_their_fields(self) -> None:
        assert InvalidEvent("a", "b", 1) != InvalidEvent("a", "b", 2)

    @pytest.mark.parametrize(
        ("one", "other"), [(1, 1.0), (0, False), ({"a": 1, "b": [2]}, {"b": [2], "a": 1})]
    )
    def test_that_are_equal_have_one_hash(self, one: object, other: object) -> None:
        errors_of = [InvalidEvent("a", "b", one), InvalidEvent("a", "b", other)]
        assert errors_of[0] == errors_of[1]
        assert len(set(errors_of)) == 1

    def test_of_the_other_side_carry_an_answer(self) -> None:
        error = RemoteProtocolError("this", "that")
        assert (error.errcode, error.status) == ("M_INVALID_PARAM", 400)


class Unspeakable:
    def __repr__(self) -> str:
        raise LookupError


def test_an_error_is_told_of_a_value_that_cannot_be_shown() -> None:
    error = InvalidEvent("depth", "an integer", Unspeakable())
    assert (
        str(error) == "depth: expected an integer, got a value of Unspeakable that cannot be shown"
    )


HUGE = "x" * 1_000_000


class TestHugeErrors:
    """What others sent stays in the fields, and out of the logs."""

    @pytest.mark.parametrize(
        "error",
        [
            *[cls(HUGE, HUGE, HUGE) for cls in (InvalidEvent, InvalidJson)],
            InvalidEvent("content", "an object", {HUGE: [HUGE]}),
            UnknownRoomVersion({"a": HUGE}),
            IncompleteState(HUGE, HUGE),
            LocalProtocolError(HUGE, [HUGE]),
            RemoteProtocolError(HUGE, HUGE, "M_UNKNOWN", 502),
            MatrixMembershipError(HUGE),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_are_short_to_read(self, error: MatrixMembershipError) -> None:
        assert len(str(error)) < 1_000
        assert len(repr(error)) < 1_000
        assert HUGE in str(error.args)

    def test_are_short_in_every_class(self) -> None:
        for name in errors.__all__:
            error = getattr(errors, name).__new__(getattr(errors, name), HUGE, HUGE)
            assert len(repr(error)) < 1_000


class TestShown:
    def test_is_cut_to_a_line(self) -> None:
        assert len(shown("x" * 10_000)) == 120
        assert len(shown(list(range(1_000)))) == 120
        assert shown("x") == "'x'"

    def test_names_what_cannot_be_shown(self) -> None:
        assert shown(10**5_000) == "a value of int that cannot be shown"
