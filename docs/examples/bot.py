"""A bot that asks before it acts, and tells the room why it could not.

Tell it `!kick`, `!ban`, `!unban` or `!invite` with a user ID. With `!why` before one of them it asks and does nothing.
It asks the rules twice, for the member and for the bot: otherwise a member could use its power to do what they may not.

    python docs/examples/bot.py https://matrix.example @bot:matrix.example PASSWORD
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
from nio import (
    AsyncClient,
    InviteMemberEvent,
    LoginResponse,
    MatrixRoom,
    RoomGetStateResponse,
    RoomMessageText,
)

from matrix_membership import MatrixMembershipError, RoomState, may, read_state
from matrix_membership.advice.may import May, Permission
from matrix_membership.identifiers import is_user_id

QUESTIONS: Final[Mapping[str, Callable[[May, str], Permission]]] = MappingProxyType(
    {"kick": May.kick, "ban": May.ban, "unban": May.unban, "invite": May.invite}
)
MOST_ADVICE: Final = 3


@attrs.frozen
class Reply:
    """The bot's reaction to a message: it says something, and perhaps acts.

    Attributes:
        text: what it says.
        action: `kick`, `ban`, `unban` or `invite`; empty when it only talks.
        user: the target of the action.
    """

    text: str
    action: str = ""
    user: str = ""


def reply_to(text: str, sender: str, bot: str, state: RoomState) -> Reply | None:
    """Decide how the bot reacts to a message.

    Args:
        text: the message.
        sender: the user who sent it.
        bot: the bot's user ID.
        state: the state of the room.

    Returns:
        The reply; None if the message is not for the bot.
    """
    words = text.split()
    only_asks = words[:1] == ["!why"]
    if only_asks:
        words = [f"!{word.removeprefix('!')}" for word in words[1:2]] + words[2:]
    command = words[0].removeprefix("!") if words and words[0].startswith("!") else ""
    if command not in QUESTIONS:
        return None
    user = words[1] if len(words) > 1 else ""
    if not is_user_id(user):
        return Reply(f"!{command} needs a user ID")
    ask = QUESTIONS[command]
    by_sender, by_bot = ask(may(sender, state), user), ask(may(bot, state), user)
    if not by_sender:
        return Reply(f"you may not {command} {user}: {by_sender}")
    if not by_bot:
        advice = [f"- {remedy}" for remedy in by_bot.remedies[:MOST_ADVICE]]
        return Reply("\n".join([f"I may not {command} {user}: {by_bot}", *advice]))
    if only_asks:
        return Reply(f"I may {command} {user}: {by_bot}")
    return Reply(f"{command} {user}: {by_bot}", command, user)


class Bot:
    """Connect `reply_to` with matrix-nio: hear messages, read the room's state, act."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.acts: Mapping[str, Callable[[str, str], Any]] = {
            "kick": client.room_kick,
            "ban": client.room_ban,
            "unban": client.room_unban,
            "invite": client.room_invite,
        }
        client.add_event_callback(self.heard, RoomMessageText)
        client.add_event_callback(self.invited, InviteMemberEvent)

    async def state_of(self, room_id: str) -> RoomState | None:
        """Fetch the room's state; None if that fails or it cannot be read."""
        answer = await self.client.room_get_state(room_id)
        if not isinstance(answer, RoomGetStateResponse):
            return None
        try:
            return read_state(answer.events)
        except MatrixMembershipError:
            return None

    async def invited(self, room: MatrixRoom, event: Any) -> None:
        """Accept an invite."""
        if event.state_key == self.client.user_id and event.membership == "invite":
            await self.client.join(room.room_id)

    async def heard(self, room: MatrixRoom, event: Any) -> None:
        """Do what a message asks for, if sender and bot may do it."""
        state = await self.state_of(room.room_id)
        if event.sender == self.client.user_id or state is None:
            return
        reply = reply_to(event.body, event.sender, self.client.user_id, state)
        if reply is None:
            return
        if reply.action:
            await self.acts[reply.action](room.room_id, reply.user)
        content = {"msgtype": "m.notice", "body": reply.text}
        await self.client.room_send(room.room_id, "m.room.message", content)


async def main(arguments: Iterable[str]) -> int:
    """Run the bot until it is stopped."""
    homeserver, user, password = arguments
    client = AsyncClient(homeserver, user)
    try:
        answer = await client.login(password)
        if not isinstance(answer, LoginResponse):
            print(answer)
            return 1
        await client.sync(timeout=0)  # skip messages from before it started
        Bot(client)
        await client.sync_forever(timeout=30_000)
    finally:
        await client.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
