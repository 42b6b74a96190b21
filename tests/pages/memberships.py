"""The picture of the memberships: the table of moves as a state diagram."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from matrix_membership.membership import LEAVE, TRANSITIONS, Transition
from tests.sources import ROOT

FILE: Final = ROOT / "docs" / "reference" / "membership.md"
PLACE: Final = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)


def text() -> str:
    """The page with the picture that the table gives."""
    picture = "\n".join(("```mermaid", *_picture(), "```"))
    return PLACE.sub(lambda _: picture, FILE.read_text("utf-8"))


def _picture() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {LEAVE}: never seen"
    for before, row in TRANSITIONS.items():
        for after, (by_self, by_other) in row.items():
            names = dict.fromkeys((by_self, by_other))
            if Transition.UNEXPECTED not in names and Transition.UNCHANGED not in names:
                yield f"    {before} --> {after}: {' or '.join(map(str, names))}"
