"""Histories with the events that viewers see, and redactions with their effect."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Final

from matrix_membership import RoomVersion
from matrix_membership.identifiers import server_of
from matrix_membership.room_versions import V1, V3, V6, V10, V11, V12
from matrix_membership.visibility import may_see, timeline
from tests.builders import ANA, BEN, CAY, DAN
from tests.vectors.story import Story, pdus

VALUES: Final = ("world_readable", "shared", "invited", "joined")
USERS: Final = (ANA, BEN, CAY)


def histories() -> Iterator[dict[str, Any]]:
    """The histories: each value in some versions, and each change of it in version 11."""
    for version in (V1, V6, V11, V12):
        for value in (*VALUES, None):
            yield _history(version, value, value)
    for before, after in permutations(VALUES, 2):
        yield _history(V11, before, after)


def _history(version: RoomVersion, before: str | None, after: str | None) -> dict[str, Any]:
    story = Story(version)
    place = "m.room.history_visibility"
    if before is not None:
        story.set(place, {"history_visibility": before})
    story.message(ANA, "before the change")
    if before != after:
        story.set(place, {"history_visibility": after})
    story.message(ANA, "before the invite")
    story.member(ANA, BEN, "invite")
    story.message(ANA, "before the join")
    story.join(BEN)
    story.message(ANA, "before the leave")
    story.member(BEN, BEN, "leave")
    story.message(ANA, "after the leave")
    steps = story.steps
    sees = {
        user: [event.event_id for event in timeline(user, steps, story.state)] for user in USERS
    }
    kind = f"{before or 'unset'}" + ("" if before == after else f"-then-{after}")
    return {
        "id": f"v{version}/{kind}",
        "room_version": version.identifier,
        "events": pdus(story.events),
        "event_ids": [event.event_id for event in story.events],
        # Each server has one of the users.
        "sees": sees | {server_of(user): seen for user, seen in sees.items()},
        "memberships": {
            user: [str(may_see(user, *step, story.state).membership) for step in steps]
            for user in USERS
        },
    }


MODERATOR: Final = DAN
NO_REDACTOR: Final = "@cat:c.example"

# Who redacts a message of Ben's or, in the last, one that is not here yet; whether the rules allow it in
# versions 1 and 2; whether a server applies it.
REDACTIONS: Final[tuple[tuple[str, str, bool, bool | None], ...]] = (
    ("of-an-own-event", BEN, True, True),
    ("by-a-user-of-the-same-server", "@bob:b.example", True, True),
    ("by-level", MODERATOR, True, True),
    ("by-another-server-below-the-level", NO_REDACTOR, False, False),
    ("before-its-target", BEN, True, None),
)


def redactions() -> Iterator[dict[str, Any]]:
    """The redactions; what comes of each is written above by hand."""
    for version in (V1, V3, V10, V11, V12):
        for name, sender, allowed, applies in REDACTIONS:
            story = Story(version)
            users = {MODERATOR: 50} | ({} if version.privileged_creators else {ANA: 100})
            story.set("m.room.power_levels", {"users": users, "redact": 50})
            story.set("m.room.join_rules", {"join_rule": "public"})
            for user in dict.fromkeys((BEN, sender)):
                story.join(user)
            target = story.message(BEN, "oh")
            state = story.state
            names = {"redacts": target.event_id}
            in_content = version.redaction_rules >= int(V11.identifier)
            redaction = story.say(
                "m.room.redaction",
                sender,
                {"reason": "spam", **(names if in_content else {})},
                **({} if in_content else names),
            )
            waits = applies is None
            yield {
                "id": f"v{version}/{name}",
                "room_version": version.identifier,
                "state": pdus(state.events),
                "target": None if waits else target.to_pdu(),
                "redaction": redaction.to_pdu(),
                "allowed": allowed or not version.event_id_in_pdu,
                "applies": applies,
            }
