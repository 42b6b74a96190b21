"""The answer to send_join, split into its events while it comes in.

A room's answer may be larger than what a server wants to hold of it, so nothing is kept
here but the text that has not come to an end yet. An event that has come is decoded once,
by the C scanner, and handed on with its text: whoever takes it need not decode it again.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Mapping
from json import JSONDecoder
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidMessage, LocalProtocolError
from matrix_membership.events.reading import scan_usual

__all__ = [
    "BESIDE_EVENTS",
    "DEFAULT_BUDGET",
    "SEND_JOIN",
    "STATE",
    "AnswerBudget",
    "Splitter",
    "Take",
]

_WHERE: Final = "send_join answer"
SEND_JOIN: Final[Mapping[str, str]] = MappingProxyType(
    {"state": "state", "auth_chain": "auth_chain", "event": "event"}
)
"""What the keys of an answer to send_join hold."""

STATE: Final[Mapping[str, str]] = MappingProxyType({"pdus": "state", "auth_chain": "auth_chain"})
"""What the keys of an answer to `GET /state` hold."""

BESIDE_EVENTS: Final = ("members_omitted", "servers_in_room")
"""What else an answer says that counts."""

Take = Callable[[str, str, JsonValue], object]
"""Takes what an event is part of, its text, and what `scan_usual` made of it, or None."""

_Steps = Generator[None, None, None]


@frozen
class AnswerBudget:
    """What the answer to send_join may cost.

    How deep an event may be is no matter of the answer: one that is deeper than the budget
    of `canonical_json` is dropped, and the others stay. Anything else that is deeper than
    the interpreter can read spoils the answer.

    Attributes:
        max_bytes: bytes of the whole answer.
        max_events: events in it, all lists together.
        max_value_bytes: bytes of one event, or of any other value in it.
    """

    max_bytes: int = 512 * 1024 * 1024
    max_events: int = 2_000_000
    max_value_bytes: int = 8 * 1024 * 1024


DEFAULT_BUDGET: Final = AnswerBudget()


class Splitter:
    """Splits one answer; what is not split yet is all that it holds."""

    def __init__(
        self, take: Take, budget: AnswerBudget, held: Mapping[str, str] = SEND_JOIN
    ) -> None:
        self.take = take
        self.held = held
        self.budget = budget
        self.body: dict[str, JsonValue] = {}
        self.seen: set[str] = set()  # the keys that have come
        self.read: set[str] = set()  # those of them that hold events
        self.text = ""
        self.place = 0
        self.came = bytearray()  # what is not in `text` yet
        self.wanted = 1  # how many are waited for
        self.bytes = self.events = 0
        self.ended = False
        self.decode = getincrementaldecoder("utf-8")().decode
        self.steps = self.answer()
        self.error: InvalidMessage | None = None

    def feed(self, data: bytes) -> None:
        """Take what comes next.

        Raises:
            InvalidMessage: this is no such answer, or more than the budget.
            LocalProtocolError: the answer has ended.
        """
        self.check_open()
        self.bytes += len(data)
        if self.bytes > self.budget.max_bytes:
            most = f"at most {self.budget.max_bytes} bytes"
            self.error = InvalidMessage(_WHERE, most, self.bytes)
            raise self.error
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            self.came += view[start : start + _PIECE]
            # So much as was left over, at least: an answer that comes byte by byte is not
            # looked at more often than one that doubles.
            if len(self.came) >= self.wanted:
                self.go_on()

    def finish(self) -> dict[str, JsonValue]:
        """What the answer says beside its events, when all of it has come.

        Raises:
            InvalidMessage: something is missing or of a wrong kind, or was when it came.
            LocalProtocolError: the answer has ended.
        """
        self.check_open()
        self.ended = True
        self.go_on()
        for name, holds in self.held.items():
            if holds != "event" and name not in self.read:
                raise InvalidMessage(f"{_WHERE}.{name}", "a list of events", self.body.get(name))
        if self.body.get("event") is not None:
            raise InvalidMessage(f"{_WHERE}.event", "an object", self.body["event"])
        return self.body

    def check_open(self) -> None:
        """Refuse to go on after the end; after an error, for the same reason."""
        if self.error is not None:
            raise self.error
        if self.ended:
            raise LocalProtocolError("an answer that still goes on", "one that has ended")

    def go_on(self) -> None:
        """Go on until the text ends."""
        try:
            more = self.decode(bytes(self.came), self.ended)
            self.came.clear()
            self.wanted = 1
            self.text, self.place = self.text[self.place :] + more, 0
            next(self.steps, None)
        except InvalidMessage as error:
            self.error = error
            raise
        except (ValueError, RecursionError) as error:
            self.error = InvalidMessage(_WHERE, "JSON", str(error))
            raise self.error from error

    # What follows are steps, each of which stops where the text does.

    def more(self, left: int) -> _Steps:
        """Wait for more text than there is."""
        if self.ended:
            raise ValueError("it ends in the middle")
        self.allow(left)
        self.wanted = max(1, left)
        yield

    def sign(self) -> Generator[None, None, str]:
        """The next character that is no white space; it is not passed."""
        while True:
            self.place = _after_space(self.text, self.place).end()
            if self.place < len(self.text):
                return self.text[self.place]
            yield from self.more(0)

    def expect(self, expected: str) -> _Steps:
        """Pass one character."""
        found = yield from self.sign()
        if found != expected:
            raise ValueError(f"expected {expected!r}, got {found!r}")
        self.place += 1

    def value(self) -> Generator[None, None, JsonValue]:
        """Pass a value that is no event."""
        yield from self.sign()
        while True:
            text, place = self.text, self.place
            left = len(text) - place
            try:
                value, end = _scan(text, place)
            except (ValueError, StopIteration) as error:
                if self.ended:
                    raise ValueError(f"no value: {error}") from error
            else:
                # A number may go on where the text does; every value has something behind it.
                if end < len(text):
                    self.allow(end - place)
                    self.place = end
                    return value
            yield from self.more(left)

    def answer(self) -> _Steps:
        sign = yield from self.sign()
        if sign == "[":  # the first version of the endpoint: a pair of status and object
            self.place += 1
            status = yield from self.value()
            if status != _OK:
                raise InvalidMessage(f"{_WHERE}[0]", "200", status)
            yield from self.expect(",")
            yield from self.sign()
            yield from self.object()
            yield from self.expect("]")
        else:
            yield from self.object()
        while not self.ended:
            self.place = _after_space(self.text, self.place).end()
            if self.place < len(self.text):
                break
            yield
        if _after_space(self.text, self.place).end() < len(self.text):
            raise ValueError("something after the end")

    def object(self) -> _Steps:
        if self.text[self.place] != "{":
            raise InvalidMessage(_WHERE, "an object", self.text[self.place : self.place + 40])
        self.place += 1
        sign = yield from self.sign()
        while sign != "}":
            key = yield from self.value()
            self.name(key)
            yield from self.expect(":")
            sign = yield from self.sign()
            holds = self.held.get(key)
            if holds is not None and sign == ("{" if holds == "event" else "["):
                self.read.add(key)
                yield from self.event(holds) if sign == "{" else self.list(key, holds)
            else:
                value = yield from self.value()
                # What nobody asks for may be large, and there may be much of it.
                if holds is not None or key in BESIDE_EVENTS:
                    self.body[key] = value
            sign = yield from self.next_of("}")
        self.place += 1

    def name(self, key: JsonValue) -> None:
        """Take note of a key."""
        if not isinstance(key, str) or key in self.seen:
            raise ValueError(f"a key that is none, or stands twice: {key!r}")
        if len(key) > _LONGEST_KEY or len(self.seen) >= _MOST_KEYS:
            most = f"at most {_MOST_KEYS} keys of {_LONGEST_KEY} characters"
            raise InvalidMessage(_WHERE, most, key)
        self.seen.add(key)

    def next_of(self, end: str) -> Generator[None, None, str]:
        """Pass the comma between two values; the sign after it, or the end, which is not passed."""
        sign = yield from self.sign()
        if sign == end:
            return sign
        yield from self.expect(",")
        sign = yield from self.sign()
        if sign == end:
            raise ValueError(f"expected a value, got {sign!r}")
        return sign

    def list(self, key: str, holds: str) -> _Steps:
        self.place += 1
        sign = yield from self.sign()
        index = 0
        while sign != "]":
            if sign != "{":
                value = yield from self.value()
                raise InvalidMessage(f"{_WHERE}.{key}[{index}]", "an object", value)
            text, place = self.text, self.place
            try:
                document, end = scan_usual(text, place)
                sign = text[end + 1] if text[end] == "," else ""
            except (ValueError, StopIteration, RecursionError, IndexError):
                yield from self.event(holds)
                sign = ""
            else:
                self.count(end - place)
                self.place = end
                self.take(holds, text[place:end], document)
                if sign == "{":
                    self.place = end + 1
            if sign != "{":
                sign = yield from self.next_of("]")
            index += 1
        self.place += 1

    def event(self, holds: str) -> _Steps:
        """Pass an event of any kind, however deep, that may not have come whole yet."""
        while True:
            text, place = self.text, self.place
            end = _end_of_object(text, place)
            if end is not None:
                break
            yield from self.more(len(text) - place)
        self.count(end - place)
        self.place = end
        document: JsonValue = None
        try:
            document, _ = scan_usual(text, place)
        except (ValueError, StopIteration, RecursionError):
            _check_object(text, place)
        self.take(holds, text[place:end], document)

    def allow(self, size: int) -> None:
        """Refuse one value of this size, which is in characters, if it is beyond the budget."""
        if size > self.budget.max_value_bytes:
            most = f"values of at most {self.budget.max_value_bytes} bytes"
            raise InvalidMessage(_WHERE, most, size)

    def count(self, size: int) -> None:
        self.allow(size)
        self.events += 1
        if self.events > self.budget.max_events:
            raise InvalidMessage(_WHERE, f"at most {self.budget.max_events} events", self.events)


_PIECE: Final = 64 * 1024
"""So many bytes are looked at in one go: what is held beside the events is of this order."""

_OK: Final = 200

_MOST_KEYS: Final = 100
_LONGEST_KEY: Final = 255


def _check_object(text: str, place: int) -> None:
    """Check an object that is not usual; too deep a one is believed."""
    try:
        _scan(text, place)
    except RecursionError:
        pass  # who reads the event will say how deep one may be
    except StopIteration as error:
        raise ValueError("an object that is none") from error


def _end_of_object(text: str, place: int) -> int | None:
    """Where an object ends; None when the text ends before. Cost: linear, at any depth."""
    depth = 0
    for token in _TOKEN.finditer(text, place):
        sign = token[0]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
            if not depth:
                return token.end()
        elif sign == '"':  # a text without an end
            return None
    return None


_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}"]', re.DOTALL)
_after_space: Final[Callable[[str, int], re.Match[str]]] = re.compile(r"[ \t\n\r]*").match  # type: ignore[assignment]  # it always matches


def _no_constant(name: str) -> JsonValue:
    raise ValueError(name)


_scan: Final[Callable[[str, int], tuple[Any, int]]] = vars(
    JSONDecoder(parse_constant=_no_constant)
)["scan_once"]
