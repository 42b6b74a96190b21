"""What an entry is called with, written so that a person can read it and a few bytes can choose it.

A recipe is text in pieces, each with how often it stands there. So 64 KiB of one letter is a line, and a search that
changes single bytes still finds what grows: most of what takes more than linear time needs a long input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, get_args

import attrs

from matrix_membership import RoomVersion
from matrix_membership.room_versions import KNOWN
from tests.builders import VERSIONS
from tests.entries import ENTRIES, WITHIN
from tests.sources import ROOT

Kind = Literal["bytes", "text", "json"]
Piece = tuple[str, int]

CALLS: Final = {**ENTRIES, **WITHIN}
KEPT: Final = ROOT / "tests" / "data" / "fuzz"
LARGEST: Final = 131_072
"""Characters of an input: twice the largest PDU, so that one that is too large is tried too."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
WORDS: Final = (
    "type", "sender", "state_key", "content", "membership", "join", "invite", "knock", "ban", "leave", "users", "events",
    "m.room.member", "m.room.create", "m.room.power_levels", "@ana:a.example", "$x:a.example", "!r:a.example", "signatures",
    "hashes", "sha256", "third_party_invite", "signed", "mxid", "token", "allow", "room_id", "join_rule", "restricted", "state",
    "auth_chain", "event", "server_name", "verify_keys", "old_verify_keys", "valid_until_ts", "ban", "kick", "50", "+5",
)  # fmt: skip # a table, read by rows
GROWING: Final = (
    "[", "]", '{"a":', "}", '"', '\\"', "\\\\", "\\u0000", "0", "9", "-", ".", "e", "1e", "*", "?", "*?", "a", " ", "\n", ":",
    '"@u%d:a.example":%d,', '"k%d":{},', '"a":1,', '["$e%d",{}],', '"$e%d",', '"ed25519:%d":"x",', '{"x":%d},', "\u20ac", "\udc80",
)  # fmt: skip # a table, read by rows
DEEPEST: Final = 4


@attrs.frozen
class Recipe:
    """One call: which entry, in which room version, with what.

    Attributes:
        entry: a name of `tests.entries`.
        room_version: the version's identifier.
        kind: whether the text is given as it is, as bytes, or as the JSON value that it is.
        pieces: what the text consists of, and how often; `%d` counts.
    """

    entry: str
    room_version: str
    kind: Kind
    pieces: tuple[Piece, ...]

    @property
    def version(self) -> RoomVersion:
        """The room version."""
        return KNOWN[self.room_version]

    @property
    def text(self) -> str:
        """The text, cut where it is too long."""
        return "".join(islice(_characters(self.pieces), LARGEST))

    @property
    def value(self) -> Any:
        """What the entry is given; text that is not JSON counts as a JSON string."""
        if self.kind == "text":
            return self.text
        if self.kind == "bytes":
            return self.text.encode("utf-8", "surrogateescape")
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return self.text

    @property
    def halved(self) -> Recipe:
        """The recipe with half as much of what there is most of."""
        most = max((times for _, times in self.pieces), default=1)
        return attrs.evolve(
            self,
            pieces=tuple(
                (piece, (times + 1) // 2 if 4 * times > most else times)
                for piece, times in self.pieces
            ),
        )

    def to_json(self) -> str:
        """The recipe as it is kept in a file."""
        return json.dumps(attrs.asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        pieces = tuple((str(piece), int(times)) for piece, times in fields.pop("pieces"))
        return cls(**fields, pieces=pieces)


def _characters(pieces: tuple[Piece, ...]) -> Iterator[str]:
    for piece, times in pieces:
        counts = "%d" in piece
        for number in range(times):
            yield from piece.replace("%d", str(number)) if counts else piece


def kept() -> dict[str, Recipe]:
    """The recipes that are kept, by the name of their file."""
    return {path.stem: read(path) for path in sorted(KEPT.glob("*.json"))}


def read(path: Path) -> Recipe:
    """A recipe from a file."""
    return Recipe.from_json(path.read_text("utf-8"))


class Chooser:
    """Choices that bytes make. Where they end, the first choice is taken."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def raw(self, size: int) -> bytes:
        """The next bytes, up to a number."""
        found = self._data[self._at : self._at + size]
        self._at += len(found)
        return found

    def number(self, below: int) -> int:
        """A number from 0 on."""
        size = 1 if below <= 256 else 2 if below <= 65_536 else 3
        return int.from_bytes(self.raw(size), "big") % below

    def one(self, of: tuple[Any, ...]) -> Any:
        """One of several."""
        return of[self.number(len(of))]

    def text(self, size: int) -> str:
        """The next bytes as text; what is not UTF-8 stays as a lone surrogate."""
        return self.raw(self.number(size)).decode("utf-8", "surrogateescape")


def chosen(data: bytes, among: tuple[Recipe, ...]) -> Recipe:
    """The recipe that bytes choose.

    Args:
        data: any bytes.
        among: recipes that are kept, whose pieces are tried elsewhere and in other numbers.
    """
    choose = Chooser(data)
    entry = choose.one(tuple(CALLS))
    version = choose.one(VERSIONS).identifier
    kind = choose.one(KINDS)
    makers: tuple[Callable[[], tuple[Piece, ...]], ...] = (
        lambda: ((choose.text(65_536), 1),),
        lambda: ((json.dumps(_value(choose)), 1),),
        lambda: tuple(_piece(choose) for _ in range(1 + choose.number(8))),
        lambda: _varied(choose, among),
        lambda: _grown_object(choose),
    )
    return Recipe(entry, version, kind, choose.one(makers)())


def _times(choose: Chooser) -> int:
    """One, or any number of digits alike."""
    return choose.number(1 << choose.number(18)) + 1


def _piece(choose: Chooser) -> Piece:
    text = choose.one(GROWING) if choose.number(4) else choose.text(8)
    return text, _times(choose)


def _varied(choose: Chooser, among: tuple[Recipe, ...]) -> tuple[Piece, ...]:
    """The pieces of a recipe, one of them in another number."""
    if not among:
        return ()
    pieces = list(choose.one(among).pieces)
    if pieces:
        at = choose.number(len(pieces))
        pieces[at] = (pieces[at][0], _times(choose))
    return tuple(pieces)


def _grown_object(choose: Chooser) -> tuple[Piece, ...]:
    """JSON that is well-formed: under some keys an object or array of many alike members."""
    inside = json.dumps(_value(choose, DEEPEST - 1))
    opening, member, closing = choose.one(
        (("{", f'"k%d":{inside},', '"":0}'), ("[", f"{inside},", "0]"), ("{", '"@u%d:a.example":%d,', '"":0}'))
    )  # fmt: skip # a table, read by rows
    keys = [choose.one(WORDS) for _ in range(choose.number(4))]
    return (
        ("".join(f'{{"{key}":' for key in keys) + opening, 1),
        (member, min(_times(choose), LARGEST // (len(member) + 6))),
        (closing + "}" * len(keys), 1),
    )


def _value(choose: Chooser, depth: int = 0) -> Any:
    """A JSON value."""
    inner = depth + 1
    makers: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: bool(choose.number(2)),
        lambda: int.from_bytes(choose.raw(9), "big", signed=True),
        lambda: choose.number(65_536) / 7,
        lambda: choose.text(12),
        lambda: choose.one(WORDS),
        lambda: [_value(choose, inner) for _ in range(choose.number(6))],
        lambda: {
            str(_value(choose, DEEPEST)): _value(choose, inner) for _ in range(choose.number(6))
        },
    )
    return choose.one(makers if depth < DEEPEST else makers[:6])()
