"""Split the answer to send_join into its events while it comes in.

The answer can be too large to hold in memory. So the splitter keeps only the text of the value
that is not complete yet. It decodes each complete event once, with the C scanner, and passes
on the text and the decoded value, so that no reader decodes it again.

A splitter is a chain of generators, one for each level of the JSON text. Each one stops
(`yield`) where the text ends, and goes on when `feed` has added more.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Mapping
from json import JSONDecoder
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, scan_in_list, scan_plain
from matrix_membership.errors import InvalidMessage, LocalProtocolError

_WHERE: Final = "send_join answer"
SEND_JOIN: Final[Mapping[str, str]] = MappingProxyType(
    {"state": "state", "auth_chain": "auth_chain", "event": "event"}
)
"""The event keys of an answer to send_join, and what each holds."""

STATE: Final[Mapping[str, str]] = MappingProxyType({"pdus": "state", "auth_chain": "auth_chain"})
"""The event keys of an answer to `GET /state`, and what each holds."""

BESIDE_EVENTS: Final = ("members_omitted", "servers_in_room")
"""The other keys of an answer that are read."""

Take = Callable[[str, str, JsonValue], object]
"""Takes the key of an event, its text, and its value from the scanner or None."""

_Steps = Generator[None, None, None]


@frozen
class AnswerBudget:
    """The limits on the answer to send_join.

    It does not limit the depth of events: an event deeper than `canonical_json` allows is
    dropped, and the others stay. Any other value that is too deep for the interpreter makes
    the answer invalid.

    Attributes:
        max_bytes: the most bytes of the whole answer.
        max_events: the most events in all its lists together.
        max_value_bytes: the most bytes of one event or other value in it.

    .. versionadded:: 0.1.0
    """

    # The specification sets no bound on an answer to send_join, so its receiver has to.
    max_bytes: int = 512 * 1024 * 1024
    max_events: int = 2_000_000
    max_value_bytes: int = 8 * 1024 * 1024


ANSWER_BUDGET: Final = AnswerBudget()


class Splitter:
    """Splits one answer, and holds only the text that is not split yet."""

    def __init__(
        self,
        take: Take,
        budget: AnswerBudget,
        held: Mapping[str, str] = SEND_JOIN,
        scan: Callable[[str, int], tuple[JsonValue, int]] | None = None,
    ) -> None:
        self.take = take
        self.scan = scan or scan_in_list
        self.held = held
        self.budget = budget
        self.body: dict[str, JsonValue] = {}
        self.seen: set[str] = set()  # all keys so far
        self.read: set[str] = set()  # those of them that held events
        self.text = ""
        self.place = 0  # where in `text` to go on
        self.came = bytearray()  # bytes that are not in `text` yet
        self.wanted = 1  # how many bytes to wait for
        self.bytes = self.events = 0
        self.ended = False
        # Incremental, because a piece may end inside a character.
        self.decode = getincrementaldecoder("utf-8")().decode
        self.steps = self.answer()
        self.error: InvalidMessage | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raise as `SendJoinReader.feed`."""
        self.check_open()
        self.bytes += len(data)
        if self.bytes > self.budget.max_bytes:
            most = f"at most {self.budget.max_bytes} bytes"
            self.error = InvalidMessage(_WHERE, most, self.bytes)
            raise self.error
        # A view, because slices of bytes would copy an answer that comes whole once more.
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            self.came += view[start : start + _PIECE]
            # Wait for as many bytes as were left over. An incomplete event is scanned from its
            # start again; without this, an answer in single bytes would cost the square.
            if len(self.came) >= self.wanted:
                self.go_on()

    def finish(self) -> dict[str, JsonValue]:
        """Return the values of the keys that are not events, after all came.

        It raises as `SendJoinReader.finish`.
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
        """Raise after the end; after an error, raise the same error again."""
        if self.error is not None:
            raise self.error
        if self.ended:
            raise LocalProtocolError("an answer that still goes on", "one that has ended")

    def go_on(self) -> None:
        """Split until the text ends."""
        try:
            more = self.decode(bytes(self.came), self.ended)
            self.came.clear()
            self.wanted = 1
            self.text, self.place = self.text[self.place :] + more, 0
            next(self.steps, None)
        except InvalidMessage as error:
            self.error = error
            raise
        # Values beside the events are scanned by recursion. An event that is too deep for that
        # never ends up here: its end is found by counting brackets.
        except (ValueError, RecursionError) as error:
            self.error = InvalidMessage(_WHERE, "JSON", str(error))
            raise self.error from error

    # The generators from here on yield where the text ends.

    def more(self, left: int) -> _Steps:
        """Wait for more text; the last `left` characters are one incomplete value."""
        if self.ended:
            raise ValueError("it ends in the middle")
        self.allow(left)
        self.wanted = max(1, left)
        yield

    def sign(self) -> Generator[None, None, str]:
        """Return the next character after white space, without passing it."""
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
        """Pass a value that is not an event, and return it."""
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
                # A number at the end of the text may go on in the next piece. A comma or
                # bracket follows every complete value.
                if end < len(text):
                    self.allow(end - place)
                    self.place = end
                    return value
            yield from self.more(left)

    def answer(self) -> _Steps:
        sign = yield from self.sign()
        if sign == "[":  # v1 of the endpoint answers the pair of 200 and the object
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
                # Other keys are not kept: a server could fill the memory with them.
                if holds is not None or key in BESIDE_EVENTS:
                    self.body[key] = value
            sign = yield from self.next_of("}")
        self.place += 1

    def name(self, key: JsonValue) -> None:
        """Check a key and remember it: a repeated one makes the answer ambiguous."""
        if not isinstance(key, str) or key in self.seen:
            raise ValueError(f"expected a new key, got {key!r}")
        if len(key) > _LONGEST_KEY or len(self.seen) >= _MOST_KEYS:
            most = f"at most {_MOST_KEYS} keys of {_LONGEST_KEY} characters"
            raise InvalidMessage(_WHERE, most, key)
        self.seen.add(key)

    def next_of(self, end: str) -> Generator[None, None, str]:
        """Pass the comma before the next value, and return that value's first character.

        At the end, return `end` without passing it.
        """
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
                document, end = self.scan(text, place)
                # Without white space the next event begins right behind the comma. Looking there
                # spares the generators of a comma and of the next sign for each event.
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
        """Pass an event that is incomplete, or that `scan_plain` cannot read.

        It finds the end by brackets, so it can pass an event of any depth.
        """
        while True:
            text, place = self.text, self.place
            end = _end_of_object(text, place)
            if end is not None:
                break
            yield from self.more(len(text) - place)
        self.count(end - place)
        self.place = end
        # Text that the scanner cannot read is passed on undecoded. The reader of the event names
        # its fault, and the other events of the answer stay.
        document: JsonValue = None
        try:
            document, _ = scan_plain(text, place)
        except (ValueError, StopIteration, RecursionError):
            _check_object(text, place)
        self.take(holds, text[place:end], document)

    def allow(self, size: int) -> None:
        """Raise if a value of this many characters exceeds the budget."""
        if size > self.budget.max_value_bytes:
            most = f"values of at most {self.budget.max_value_bytes} bytes"
            raise InvalidMessage(_WHERE, most, size)

    def count(self, size: int) -> None:
        """Count an event of this many characters; raise if it exceeds the budget."""
        budget = self.budget
        if size > budget.max_value_bytes:
            self.allow(size)
        self.events += 1
        if self.events > budget.max_events:
            raise InvalidMessage(_WHERE, f"at most {self.budget.max_events} events", self.events)


_PIECE: Final = 64 * 1024
"""The number of bytes to decode at once, which bounds the text that is held."""

_OK: Final = 200

_MOST_KEYS: Final = 100
_LONGEST_KEY: Final = 255


def _check_object(text: str, place: int) -> None:
    """Raise `ValueError` if an object is not JSON; one that is too deep passes."""
    try:
        _scan(text, place)
    except RecursionError:
        pass  # reading the event reports that it is too deep
    except StopIteration as error:
        raise ValueError("expected an object") from error


def _end_of_object(text: str, place: int) -> int | None:
    """Return where an object ends; None if the text ends before.

    Cost: linear, at any depth.
    """
    depth = 0
    for token in _TOKEN.finditer(text, place):
        sign = token[0]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
            if not depth:
                return token.end()
        elif sign == '"':  # a string that the text does not close yet
            return None
    return None


# Possessive: after a text that does not end, a match that can go back would try all shorter ones. A
# stranger's text would cost the square of its length.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}"]', re.DOTALL)
_after_space: Final[Callable[[str, int], re.Match[str]]] = re.compile(r"[ \t\n\r]*").match  # type: ignore[assignment]  # it always matches


# JSON has neither NaN nor Infinity. Python's scanner takes both unless it is told otherwise.
def _no_constant(name: str) -> JsonValue:
    raise ValueError(name)


# The C scanner itself: it reads one value at a position and tells where it ends. `raw_decode` is
# the public way to it, with a call in Python around each value.
_scan: Final[Callable[[str, int], tuple[Any, int]]] = vars(
    JSONDecoder(parse_constant=_no_constant)
)["scan_once"]
