"""The bot of the examples: what it says and does about a message."""

from __future__ import annotations

from typing import Any

import pytest

from bot import Reply, reply_to
from matrix_membership import RoomState
from matrix_membership.membership import BAN, JOIN
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, DAN, a_levelled_room

BOT = DAN


def a_state(bot_level: int = 50, **levels: Any) -> RoomState:
    """A room of Ana (100), the bot, and Ben without power."""
    room = a_levelled_room(V11, users={ANA: 100, BOT: bot_level}, **levels)
    return room.with_member(BOT, JOIN).with_member(BEN, JOIN).with_member(CAY, BAN).state


def reply(text: str, sender: str = ANA, bot_level: int = 50) -> Reply | None:
    """The bot's reply to a message."""
    return reply_to(text, sender, BOT, a_state(bot_level))


class TestBot:
    @pytest.mark.parametrize(
        "text",
        ["", "hello", "!", "!dance @ben:b.example", "ban @ben:b.example", "!why", "!why not"],
    )
    def test_is_silent_when_it_is_not_meant(self, text: str) -> None:
        assert reply(text) is None

    @pytest.mark.parametrize(
        ("command", "user"), [("kick", BEN), ("ban", BEN), ("unban", CAY), ("invite", "@x:y.z")]
    )
    def test_does_what_it_may(self, command: str, user: str) -> None:
        found = reply(f"!{command} {user}")
        assert found is not None
        assert (found.action, found.user) == (command, user)
        assert found.text.startswith(f"{command} {user}: allowed by rule ")

    @pytest.mark.parametrize("text", ["!ban", "!ban ben"])
    def test_needs_a_user(self, text: str) -> None:
        assert reply(text) == Reply("!ban needs a user ID")

    def test_does_nothing_for_who_may_not_do_it(self) -> None:
        found = reply(f"!ban {DAN}", sender=BEN)
        assert found is not None
        assert (found.action, found.text.split(":")[0]) == ("", "you may not ban @dan")

    def test_says_why_it_may_not_and_what_would_help(self) -> None:
        found = reply(f"!ban {BEN}", bot_level=0)
        assert found is not None
        assert found.action == ""
        assert found.text.splitlines()[0].startswith(f"I may not ban {BEN}: rejected by rule 4.6.3")
        assert f"- raise the power level of {BOT} to 50 (by {ANA})" in found.text

    @pytest.mark.parametrize("text", [f"!why ban {BEN}", f"!why !ban {BEN}"])
    def test_only_tells_when_it_is_only_asked(self, text: str) -> None:
        found = reply(text)
        assert found is not None
        assert (found.action, found.text.split(":")[0]) == ("", "I may ban @ben")
