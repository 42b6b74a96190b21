"""Cut a member of an answer into the texts of its values, where it stands.

Most events of an answer to send_join are members with at most a profile and one signature. One
regular expression finds the end of such an event and its values, and nothing of it is decoded.
There is one for each layout in which servers write them. It takes the values that `_cut` takes,
and its reader writes the canonical form from them. All other events are decoded.
"""

# How it works: as `_cut` says. A text is one JSON value in one way only, so what matches is the object
# that begins there, with these keys, each once. Every value that the canonical form covers is in
# canonical form itself, whatever the order of the keys around it. Only the names of a profile may
# hold escapes: then the content is written anew.

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from matrix_membership.canonical_json import (
    JsonValue,
    read_plain,
    scan_in_list,
    write_plain,
)
from matrix_membership.events._cut import _INTEGER, _NAME, _NESTED, _SHORT, _TEXT, _ids
from matrix_membership.events._fast_read import plain_object
from matrix_membership.events.format import MAX_AUTH_EVENTS, MAX_PREV_EVENTS
from matrix_membership.identifiers import PLAIN, PLAIN_ROOM_ID, PLAIN_USER_ID, SURELY_SHORT
from matrix_membership.room_versions import RoomVersion

__all__ = ["Member", "canonical_profile", "is_in_format", "scan_member"]


Member = tuple[Any, ...]
"""The texts of a member's values as they came, in the order of `VALUES`.

- `content` may hold escapes; all else is in canonical form.
- `auth_events` and `prev_events` are lists with their brackets, `content` is an object with its
  braces, `origin` a text with its quotation marks, or None. `unsigned` is an object too, or None for
  one that has at most an age.
- The others have no quotation marks. `server`, `key_id` and `signature` are those of the one signature.
"""

VALUES: Final = (
    "auth_events", "content", "membership", "depth", "sha256", "origin", "origin_server_ts",
    "prev_events", "room_id", "sender", "server", "key_id", "signature", "state_key", "unsigned",
)  # fmt: skip # one text


def scan_member(text: str, place: int) -> tuple[JsonValue, int]:
    """Do what `scan_in_list` does, but cut a member.

    Returns:
        A `Member`, or the value of another event; and the place where it ends.
    """
    match, values = _compiled()[text.startswith(_CANONICAL, place)]
    # Longer ones are decoded, as by `cut`.
    found = match(text, place, place + _SHORT)
    return scan_in_list(text, place) if found is None else (values(found), found.end())


def canonical_profile(content: str) -> str | None:
    """Write a content with escapes in canonical form, if it has one."""
    try:
        return write_plain(read_plain(content.encode())).decode()
    except ValueError:  # half of a pair of surrogates
        return None


def is_in_format(
    depth: str, room_id: str, sender: str, unsigned: str | None, room_version: RoomVersion
) -> bool:
    """Tell whether values of a `Member` keep the limits that no pattern expresses."""
    return (
        int(depth) <= room_version.max_depth
        and len(room_id) <= SURELY_SHORT
        and len(sender) <= SURELY_SHORT
        and (unsigned is None or plain_object(unsigned) is not None)
    )


_ESCAPED: Final = r'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})'
_ANY_NAME: Final = rf'{_NAME[:-1]}(?:{_ESCAPED}[^"\\\x00-\x1f]*+)*+"'
"""A text that may hold escapes: Synapse's answers have them for all but ASCII characters."""
_PROFILE: Final = (
    rf'\{{(?:"avatar_url":(?:null|{_ANY_NAME}),)?+(?:"displayname":(?:null|{_ANY_NAME}),)?+'
    rf'"membership":"(?P<membership>{PLAIN}*+)"\}}'
)
_PATTERNS: Final = MappingProxyType(
    {
        "auth_events": f"(?P<auth_events>{_ids(MAX_AUTH_EVENTS)})",
        "content": f"(?P<content>{_PROFILE})",
        "depth": f"(?P<depth>{_INTEGER})",
        "hashes": rf'\{{"sha256":"(?P<sha256>{PLAIN}*+)"\}}',
        "origin": f"(?P<origin>{_TEXT})",
        "origin_server_ts": f"(?P<origin_server_ts>{_INTEGER})",
        "prev_events": f"(?P<prev_events>{_ids(MAX_PREV_EVENTS)})",
        "room_id": f'"(?P<room_id>{PLAIN_ROOM_ID})"',
        "sender": f'"(?P<sender>{PLAIN_USER_ID})"',
        "signatures": (
            rf'\{{"(?P<server>{PLAIN}*+)":\{{"(?P<key_id>{PLAIN}*+)":"(?P<signature>{PLAIN}*+)"\}}\}}'
        ),
        "state_key": f'"(?P<state_key>{PLAIN}{{0,{SURELY_SHORT}}}+)"',
        "type": r'"m\.room\.member"',
        "unsigned": rf'(?:\{{(?:"age":{_INTEGER})?+\}}|(?P<unsigned>{_NESTED}))',
    }
)
_OPTIONAL: Final = frozenset({"origin", "unsigned"})

_LAYOUTS: Final = (
    (
        "signatures", "unsigned", "room_id", "auth_events", "prev_events", "content", "depth",
        "hashes", "origin_server_ts", "sender", "state_key", "type", "origin",
    ),
    tuple(_PATTERNS),
)  # fmt: skip # rows
"""The orders of keys in which servers write a member: that of Synapse's answers to send_join, and
the canonical one."""


def _pattern(layout: tuple[str, ...]) -> str:
    """Return the pattern of a layout."""
    first, *others = layout
    keys = [f',"{name}":{_PATTERNS[name]}' for name in others]
    written = [
        f"(?:{key})?+" if name in _OPTIONAL else key for name, key in zip(others, keys, strict=True)
    ]
    return "".join(chain((rf'\{{"{first}":{_PATTERNS[first]}',), written, (r"\}",)))


_Match = Callable[[str, int, int], re.Match[str] | None]
_Values = Callable[[re.Match[str]], Member]


# At its first use, as in `_cut`.
@cache
def _compiled() -> tuple[tuple[_Match, _Values], ...]:
    patterns = [re.compile(_pattern(layout)) for layout in _LAYOUTS]
    # By number: by name it takes twice as long.
    return tuple(
        [
            (pattern.match, itemgetter(*map(pattern.groupindex.__getitem__, VALUES)))
            for pattern in patterns
        ]
    )


_CANONICAL: Final = '{"a'
