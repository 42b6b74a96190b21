"""Print a page, on a terminal in colours."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "allowed": "\x1b[32m",
        "rejected": "\x1b[31m",
        "no": "\x1b[31m",
        "undecided": "\x1b[33m",
        "unknown": "\x1b[33m",
    }
)
_BOLD: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"
# At the beginning of a line only: the words stand inside sentences too.
_VERDICT: Final = re.compile(rf"^({'|'.join(_COLOURS)})\b.*$", re.MULTILINE)
# Above the rows of a part, which are indented.
_TITLE: Final = re.compile(r"^(?=\S)(.+)$(?=\n  )", re.MULTILINE)
# A stranger chooses what events hold: it must not steer the terminal.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def print_page(text: str) -> None:
    """Print text on standard output.

    On a terminal, verdicts are coloured and titles bold, unless the environment has
    `NO_COLOR`. Control characters are shown as escapes there.
    """
    if sys.stdout.isatty():
        text = _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)
        # Any value but the empty one counts: see https://no-color.org.
        if not os.environ.get("NO_COLOR"):
            text = _coloured(text)
    sys.stdout.write(f"{text}\n")


def _coloured(text: str) -> str:
    text = _TITLE.sub(rf"{_BOLD}\1{_PLAIN}", text)
    return _VERDICT.sub(lambda found: f"{_COLOURS[found[1]]}{found[0]}{_PLAIN}", text)
