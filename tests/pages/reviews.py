"""The page of reviews: what there is to remark on the rules of each version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from matrix_membership import RoomVersion
from matrix_membership.proposals import review
from matrix_membership.proposals.reviewing import Remark
from tests.builders import VERSIONS
from tests.sources import ROOT

FILE: Final = ROOT / "docs" / "reference" / "reviews.md"

HEAD: Final = """\
# Reviews of the versions

`proposals.review` looks at the rules of a room version as at those of a proposal. It tries what two users can do in a
new room, and some thousands of situations. Not every remark is a fault: a creator may give away all power on purpose.
What is remarkable is what a version brings or takes away. Version 8 loses the authorising user of a restricted join when
the join is redacted, version 9 does not; up to version 11 one event can leave a room without anybody in power, in
version 12 its creators have to leave first.

No version lets a user gain more power than the sender has, lets a banned user join, or has a rule that never fires. The
newest version comes first.
"""


def text() -> str:
    """The page."""
    return "\n".join([HEAD, *(section(version) for version in VERSIONS[::-1])])


def section(version: RoomVersion) -> str:
    """The part of a version."""
    found = review(version)
    parts = [f"## Version {version}\n", f"{found.rooms} small rooms were searched.\n"]
    return "\n".join([*parts, *_remarks(found.remarks)])


def _remarks(remarks: Iterable[Remark]) -> Iterator[str]:
    for remark in remarks:
        yield f"{remark.kind.capitalize()}: {remark.text}.\n"
        if remark.kind != "lost by redaction":
            lines = str(remark).splitlines()[1:]
            yield "\n".join(["```text", *(line.strip() for line in lines), "```\n"])
