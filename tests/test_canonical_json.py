"""Reading and writing JSON."""

from __future__ import annotations

import copy
import pickle
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.canonical_json import (
    MAX_INTEGER,
    Budget,
    JsonFloat,
    JsonObject,
    decode,
    encode,
    freeze,
    thaw,
    write_plain,
)
from matrix_membership.errors import InvalidJson


class Severity(StrEnum):
    FATAL = "fatal"
    NOTED = "noted"


EXAMPLES = [
    ("{}", "{}"),
    ('{\n "one": 1,\n "two": "Two"\n}', '{"one":1,"two":"Two"}'),
    ('{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'),
    (
        '{"auth": {"success": true, "mxid": "@j:e", "pids": [{"medium": "email", "a": "x"}]}}',
        '{"auth":{"mxid":"@j:e","pids":[{"a":"x","medium":"email"}],"success":true}}',
    ),
    ('{"a": "日本語"}', '{"a":"日本語"}'),
    ('{"本": 2, "日": 1}', '{"日":1,"本":2}'),
    ('{"a": "\\u65E5"}', '{"a":"日"}'),
    ('{"a": null}', '{"a":null}'),
    ('{"a": -0, "b": 1e10}', '{"a":0,"b":10000000000}'),
    ('"\\u0007\\u007f\\/\\n"', '"\\u0007\x7f/\\n"'),
]


class TestExamplesOfTheSpecification:
    @pytest.mark.parametrize(("text", "canonical"), EXAMPLES)
    def test_become_canonical(self, text: str, canonical: str) -> None:
        assert encode(decode(text, strict=False)) == canonical.encode()


class TestDecode:
    @pytest.mark.parametrize(
        ("text", "expected", "got"),
        [
            ('{"a":1,"a":2}', "each key once", "a"),
            ("1.5", "integers only", "1.5"),
            ("1e3", "integers only", "1e3"),
            ("-0", "an integer from -(2**53)+1 to 2**53-1, no -0", "-0"),
            (f"{2**53}", "an integer from -(2**53)+1 to 2**53-1, no -0", f"{2**53}"),
            ("NaN", "a JSON value", "NaN"),
            ("-Infinity", "a JSON value", "-Infinity"),
            ('"\\ud800"', "text of Unicode scalar values", "\ud800"),
        ],
    )
    def test_strictly_refuses(self, text: str, expected: str, got: str) -> None:
        with pytest.raises(InvalidJson) as raised:
            decode(text, strict=True)
        assert raised.value == InvalidJson("JSON", expected, got)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[1,]",
            "x",
            "5 x",
            "Infinity",
            '"\ud800"',
            '"\\udc00x"',
            "1" * 401,
            "1." + "5" * 400,
        ],
    )
    def test_refuses_tolerantly_too(self, text: str) -> None:
        with pytest.raises(InvalidJson):
            decode(text, strict=False)

    def test_refuses_bytes_that_are_no_utf_8(self) -> None:
        with pytest.raises(InvalidJson):
            decode(b'"\xff"', strict=False)

    def test_refuses_what_is_no_text(self) -> None:
        with pytest.raises(TypeError):
            decode(5, strict=False)  # type: ignore[arg-type]  # on purpose

    @pytest.mark.parametrize("value", [MAX_INTEGER, -MAX_INTEGER, 0, True, None, "é"])
    def test_takes_what_canonical_json_can_hold(self, value: Any) -> None:
        assert decode(encode(value), strict=True) == value

    def test_tolerantly_takes_the_last_of_two_keys(self) -> None:
        assert decode('{"a":1,"a":2}', strict=False) == {"a": 2}

    @pytest.mark.parametrize(
        "text", ["1.50", "1E400", "-0.0", "5.114698E4", "1e400", "1e-400", "-10e-1"]
    )
    def test_tolerantly_keeps_the_text_of_floats(self, text: str) -> None:
        value = decode(text, strict=False)
        assert isinstance(value, JsonFloat)
        assert encode({"a": [value, "x"]}, strict=False) == f'{{"a":[{text},"x"]}}'.encode()

    @pytest.mark.parametrize(("text", "value"), [("1e3", 1000), ("-2E0", -2)])
    def test_tolerantly_reads_integers_with_an_exponent(self, text: str, value: int) -> None:
        found = decode(text, strict=False)
        assert (found, type(found)) == (value, int)

    def test_refuses_too_many_bytes(self) -> None:
        budget = Budget(max_bytes=3)
        assert decode(b"123", strict=False, budget=budget) == 123
        with pytest.raises(InvalidJson) as raised:
            decode(b"1234", strict=False, budget=budget)
        assert raised.value == InvalidJson("JSON", "at most 3 bytes", 4)

    @pytest.mark.parametrize("strict", [True, False])
    def test_takes_white_space_around_a_value(self, strict: bool) -> None:
        assert decode(b"\r\n\t [1] \n", strict=strict) == (1,)

    def test_refuses_too_many_digits(self) -> None:
        assert decode("-12", strict=False, budget=Budget(max_digits=3)) == -12
        with pytest.raises(InvalidJson) as raised:
            decode("-123", strict=False, budget=Budget(max_digits=3))
        assert raised.value == InvalidJson("JSON", "an integer of at most 3 digits", "-123")

    @pytest.mark.parametrize("text", ['"' + '\\"' * 9, '"' + '\\"' * 9 + "\\", '["a', '"\\'])
    def test_measures_nesting_before_a_string_without_an_end(self, text: str) -> None:
        with pytest.raises(InvalidJson) as raised:
            decode("[[[" + text, strict=True, budget=Budget(max_depth=2))
        assert raised.value.expected == "at most 2 levels of nesting"

    @pytest.mark.parametrize("text", ['[["]"],{"a\\"[":{}}]', "[" * 3 + "]" * 3])
    def test_measures_nesting_outside_of_strings(self, text: str) -> None:
        assert decode(text, strict=True, budget=Budget(max_depth=3)) is not None
        with pytest.raises(InvalidJson):
            decode(text, strict=True, budget=Budget(max_depth=2))

    def test_takes_as_many_levels_as_an_event_of_synapse_has(self) -> None:
        assert decode("[" * 127 + "]" * 127, strict=True)
        with pytest.raises(InvalidJson):
            decode("[" * 128 + "]" * 128, strict=True)

    def test_takes_any_kind_of_bytes(self) -> None:
        for data in (bytearray(b"[1]"), memoryview(b"[1]"), "[1]"):
            assert decode(data, strict=True) == (1,)


class TestEncode:
    @pytest.mark.parametrize(
        "value",
        [
            1.5,
            float("nan"),
            2**53,
            {1: 2},
            {None: 1},
            b"x",
            {1},
            object(),
            "\ud800",
            [[{"a": 1.0}]],
        ],
    )
    def test_refuses(self, value: Any) -> None:
        with pytest.raises(InvalidJson):
            encode(value)

    @pytest.mark.parametrize(
        "value", [float("inf"), 10**400, -(10**400), -(10**399), {"a": "\ud800", "b": 0.5}]
    )
    def test_refuses_tolerantly_too(self, value: Any) -> None:
        with pytest.raises(InvalidJson):
            encode(value, strict=False)

    def test_tolerantly_writes_numbers(self) -> None:
        assert encode([0.5, 2**60], strict=False) == b"[0.5,1152921504606846976]"

    def test_takes_texts_of_a_class_of_their_own(self) -> None:
        assert encode({Severity.FATAL: [Severity.NOTED, None]}) == b'{"fatal":["noted",null]}'

    def test_refuses_keys_that_are_not_text(self) -> None:
        for key in (True, None, 5, ()):
            with pytest.raises(InvalidJson):
                encode({"a": {key: "b"}})

    def test_refuses_what_holds_itself(self) -> None:
        value: list[Any] = []
        value.append(value)
        with pytest.raises(InvalidJson):
            encode(value)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.text() | st.integers(-MAX_INTEGER, MAX_INTEGER),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_is_undone_by_decode(self, value: Any) -> None:
        assert thaw(decode(encode(value), strict=True)) == value
        assert encode(freeze(value)) == encode(value) == write_plain(value)


class TestJsonObject:
    def test_does_not_change(self) -> None:
        value = freeze({"a": 1})
        for change in (
            lambda: value.update(a=2),
            lambda: value.pop("a"),
            lambda: value.setdefault("b", 1),
            value.clear,
            value.popitem,
            lambda: value.__setitem__("a", 2),
            lambda: value.__delitem__("a"),
            lambda: value.__ior__({"b": 1}),
        ):
            with pytest.raises(TypeError):
                change()
        assert value == {"a": 1}

    def test_is_a_value(self) -> None:
        value = freeze({"a": {"b": [1]}})
        assert hash(value) == hash(freeze({"a": {"b": [1]}}))
        assert copy.copy(value) is value
        assert copy.deepcopy(value) is value
        again = pickle.loads(pickle.dumps(value))
        assert (again, type(again), type(again["a"])) == (value, JsonObject, JsonObject)
        assert freeze(value) is not None

    def test_is_sealed(self) -> None:
        with pytest.raises(TypeError):
            type("Other", (JsonObject,), {})


class TestJsonFloat:
    def test_is_a_value(self) -> None:
        value = JsonFloat("1.50")
        again = pickle.loads(pickle.dumps(value))
        assert (again, again.text, again + 1) == (1.5, "1.50", 2.5)

    def test_does_not_change(self) -> None:
        with pytest.raises(TypeError):
            JsonFloat("1.5").text = "2.5"

    def test_is_sealed(self) -> None:
        with pytest.raises(TypeError):
            type("Other", (JsonFloat,), {})
