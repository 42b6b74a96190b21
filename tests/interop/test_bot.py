"""The bot of the examples, by matrix-nio in a room of a real Synapse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from nio import AsyncClient

from bot import Bot
from tests.interop.client_api import SynapseUser
from tests.interop.synapse import Synapse

pytestmark = pytest.mark.interop


@asynccontextmanager
async def running(user: SynapseUser) -> AsyncIterator[None]:
    """The bot, hearing what is said from now on."""
    client = AsyncClient(user.base_url, user.user_id)
    client.access_token, client.user_id = user.access_token, user.user_id
    await client.sync(timeout=0)
    Bot(client)
    hearing = asyncio.create_task(client.sync_forever(timeout=1_000))
    try:
        yield
    finally:
        hearing.cancel()
        with suppress(asyncio.CancelledError):
            await hearing
        await client.close()


async def said_to(asker: SynapseUser, room_id: str, text: str, bot: SynapseUser) -> str:
    """Say something to the bot, and wait for what it answers."""
    since = (await asyncio.to_thread(asker.sync))["next_batch"]
    await asyncio.to_thread(asker.send_message, room_id, text)
    for _ in range(20):
        answer = await asyncio.to_thread(asker.sync, since)
        since = answer["next_batch"]
        joined = answer.get("rooms", {}).get("join", {}).get(room_id, {})
        for event in joined.get("timeline", {}).get("events", ()):
            if event["type"] == "m.room.message" and event["sender"] == bot.user_id:
                return str(event["content"]["body"])
        await asyncio.sleep(0.2)
    raise AssertionError("the bot says nothing")


@pytest.mark.parametrize("version", ["9", "10", "12"])
def test_the_bot_asks_before_it_acts(synapse: Synapse, version: str) -> None:
    ana, bot, eve = (synapse.register(f"{name}-bot{version}") for name in ("ana", "bot", "eve"))
    room_id = ana.create_room(version)

    async def story() -> None:
        async with running(bot):
            await asyncio.to_thread(ana.invite, room_id, bot.user_id)
            for _ in range(100):
                if bot.user_id in await asyncio.to_thread(ana.joined_members, room_id):
                    break
                await asyncio.sleep(0.1)
            await asyncio.to_thread(eve.join, room_id)
            refused = await said_to(ana, room_id, f"!ban {eve.user_id}", bot)
            assert refused.startswith(f"I may not ban {eve.user_id}: rejected by rule ")
            assert f"- raise the power level of {bot.user_id} to 50 (by {ana.user_id})" in refused
            levels = {bot.user_id: 50} if version == "12" else {ana.user_id: 100, bot.user_id: 50}
            await asyncio.to_thread(
                ana.send_state, room_id, "m.room.power_levels", {"users": levels}
            )
            by_eve = await said_to(eve, room_id, f"!kick {ana.user_id}", bot)
            assert by_eve.startswith(f"you may not kick {ana.user_id}: rejected by rule ")
            done = await said_to(ana, room_id, f"!ban {eve.user_id}", bot)
            assert done.startswith(f"ban {eve.user_id}: allowed by rule ")

    asyncio.run(story())
    memberships = {
        event["state_key"]: event["content"]["membership"]
        for event in ana.state(room_id)
        if event["type"] == "m.room.member"
    }
    assert memberships[eve.user_id] == "ban"
