"""Identifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from matrix_membership import identifiers
from matrix_membership.errors import InvalidIdentifier
from matrix_membership.identifiers import (
    are_user_ids,
    is_event_id,
    is_room_id,
    is_server_name,
    is_user_id,
    server_of,
)

HASH = "A" * 43

GOOD: list[tuple[Callable[[object], bool], str]] = [
    (is_server_name, "a.example"),
    (is_server_name, "A-1.example:65535"),
    (is_server_name, "1.2.3.4:80"),
    (is_server_name, "[::1]:8448"),
    (is_user_id, "@ana:a.example"),
    (is_user_id, "@:a.example"),
    (is_user_id, "@Ünï cödé!:a.example"),
    (is_user_id, "@a:b.example:8448"),
    (is_user_id, "@" + "x" * 244 + ":a.example"),
    (is_user_id, "@" + "é" * 122 + ":a.example"),
    (is_room_id, "!r:a.example"),
    (is_room_id, "!" + HASH),
    (is_event_id, "$e:a.example"),
    (is_event_id, "$" + HASH),
    (is_event_id, "$" + "+/" * 21 + "x"),
]
BAD: list[tuple[Callable[[object], bool], Any]] = [
    (is_server_name, ""),
    (is_server_name, "a_b"),
    (is_server_name, "a.example:123456"),
    (is_server_name, "a.example:"),
    (is_server_name, "[::1"),
    (is_server_name, "a.example\n"),
    (is_server_name, "a" * 256),
    (is_user_id, "ana:a.example"),
    (is_user_id, "@ana"),
    (is_user_id, "@an\0a:a.example"),
    (is_user_id, "@an\ud800a:a.example"),
    (is_user_id, "@" + "x" * 245 + ":a.example"),
    (is_user_id, "@" + "é" * 123 + ":a.example"),
    (is_room_id, "!:a.example"),
    (is_room_id, "!r"),
    (is_event_id, "$:a.example"),
    (is_event_id, "$" + HASH + "A"),
    (is_event_id, HASH),
]


class TestGrammar:
    @pytest.mark.parametrize(("holds", "value"), GOOD)
    def test_takes(self, holds: Callable[[object], bool], value: str) -> None:
        assert holds(value)
        read = getattr(identifiers, holds.__name__.replace("is_", "read_", 1))
        assert read(value) == value

    @pytest.mark.parametrize(("holds", "value"), BAD)
    def test_refuses(self, holds: Callable[[object], bool], value: str) -> None:
        assert not holds(value)
        read = getattr(identifiers, holds.__name__.replace("is_", "read_", 1))
        with pytest.raises(InvalidIdentifier) as raised:
            read(value)
        assert raised.value.got == value

    @pytest.mark.parametrize("value", [None, 5, b"@ana:a.example", ["@ana:a.example"]])
    def test_refuses_what_is_no_text(self, value: Any) -> None:
        for holds in (is_server_name, is_user_id, is_room_id, is_event_id):
            assert not holds(value)


class TestUserIDs:
    USERS = tuple(value for holds, value in GOOD if holds is is_user_id)
    OTHERS = (*(value for holds, value in BAD if holds is is_user_id), "@a:b\0@c:d", "", None, 5)

    def test_are_all_taken(self) -> None:
        for count in range(len(self.USERS) + 1):
            assert are_user_ids(self.USERS[:count])

    @pytest.mark.parametrize("other", OTHERS)
    def test_are_refused_with_another_value_among_them(self, other: Any) -> None:
        for values in ([other], [*self.USERS, other], [other, "@a:b"], ["@a:b", other, "@c:d"]):
            assert not are_user_ids(values)


class TestServerPart:
    @pytest.mark.parametrize(
        ("identifier", "server"),
        [
            ("@ana:a.example:8448", "a.example:8448"),
            ("@:[::1]", "[::1]"),
            ("!" + HASH, ""),
            ("", ""),
        ],
    )
    def test_is_all_after_the_first_colon(self, identifier: str, server: str) -> None:
        assert server_of(identifier) == server


class TestPlainForms:
    """The patterns of names of ASCII characters that JSON text writes as they are."""

    @pytest.mark.parametrize(
        ("pattern", "name", "holds"),
        [
            (identifiers.PLAIN, "{}", bool),
            (identifiers.PLAIN_USER_ID, "@{}:a.example", is_user_id),
            (identifiers.PLAIN_USER_ID, "@a{}b:a.example", is_user_id),
            (identifiers.PLAIN_ROOM_ID, "!{}:a.example", is_room_id),
            (identifiers.PLAIN_ROOM_ID, "!a{}b:a.example", is_room_id),
        ],
    )
    def test_are_those_of_the_grammar(
        self, pattern: str, name: str, holds: Callable[[object], bool]
    ) -> None:
        matches = re.compile(pattern).fullmatch
        for character in ("", *map(chr, range(0x7F))) if name != "{}" else map(chr, range(0x7F)):
            text = name.format(character)
            plain = json.dumps(text) == f'"{text}"'
            assert (matches(text) is not None) == (plain and holds(text)), repr(text)
        assert matches(name.format("\x80")) is None

    @pytest.mark.parametrize(
        ("name", "holds"),
        [
            ("@{}:a.example", is_user_id),
            ("!{}:a.example", is_room_id),
            ("${}:a.example", is_event_id),
        ],
    )
    def test_have_a_localpart_of_nearly_any_character(
        self, name: str, holds: Callable[[object], bool]
    ) -> None:
        odd = (0xD7FF, 0xD800, 0xDFFF, 0xE000, 0xFFFF, 0x10FFFF)
        for character in map(chr, (*range(0x100), *odd)):
            taken = character not in ":\0" and not "\ud800" <= character <= "\udfff"
            for text in (character, f"a{character}", f"{character}é", f"é{character}b"):
                assert holds(name.format(text)) == taken, repr(text)
