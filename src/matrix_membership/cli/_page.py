"""Print pages, text and JSON: on a terminal in colours, and harmless."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO

from matrix_membership.canonical_json import JsonValue

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


def show(
    options: Namespace, text: str, document: Callable[[], JsonValue], page: Callable[[], str]
) -> None:
    """Print a finding as text, or as JSON for `--json`; write a page for `--html`.

    Args:
        options: the command line.
        text: the finding as text.
        document: makes it a JSON value.
        page: makes it a page.
    """
    if options.html:
        Path(options.html).write_text(page(), "utf-8")
    if options.json:
        print_json(document())
    else:
        print_page(text)


def print_page(text: str) -> None:
    """Print text on standard output.

    On a terminal, verdicts are coloured and titles bold, unless the environment has
    `NO_COLOR`. Control characters are shown as escapes there.
    """
    text = harmless(text, sys.stdout)
    # Any value but the empty one counts: see https://no-color.org.
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        text = _coloured(text)
    print_text(text, keep=True)


def print_text(text: str, *, keep: bool = False) -> None:
    """Print text on standard output, without colours.

    Args:
        text: the text. Letters that the encoding of the output lacks are shown as escapes.
        keep: keep control characters on a terminal, such as colours.
    """
    encoding = sys.stdout.encoding or "utf-8"
    shown = text if keep else harmless(text, sys.stdout)
    # A traceback over one letter would hide a verdict that is known.
    sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def print_json(document: JsonValue) -> None:
    """Print JSON on standard output.

    Control characters, and letters that its encoding lacks, are escapes of JSON.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    sys.stdout.write(_CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n")


def harmless(text: str, stream: TextIO) -> str:
    """Return text for a stream, with control characters as escapes for a terminal."""
    if not stream.isatty():
        return text
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def _coloured(text: str) -> str:
    text = _TITLE.sub(rf"{_BOLD}\1{_PLAIN}", text)
    return _VERDICT.sub(lambda found: f"{_COLOURS[found[1]]}{found[0]}{_PLAIN}", text)
