"""Data of the example's users decides over invites, sending, and the rooms that they see."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

from matrix_membership.membership import INVITE, JOIN, LEAVE
from tests import shapes
from tests.test_example_client import Client, played, until
from tests.test_example_showing import got, refused, said, send, set_state


async def keeps(user: Client, kind: str, content: Any) -> tuple[int, Any]:
    path = f"user/{quote(user.user_id)}/account_data/{kind}"
    return await user.call("PUT", path, content)


def has_joined(ana: Client, room_id: str, user: Client) -> bool:
    return ana.membership(room_id, user.user_id) is JOIN


def test_an_invite_by_an_ignored_user_is_signed_and_hidden() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        ignored: dict[str, Any] = {"ignored_users": {ana.user_id: {}}}
        cay = Client(ana.session, ana.server, "cay")
        for user in (ben, cay):
            assert await keeps(user, "m.ignored_user_list", ignored) == (200, {})
            room_id = await ana.room()
            assert await ana.act(room_id, "invite", user_id=user.user_id) == (200, {})
            assert ana.membership(room_id, user.user_id) is INVITE
            assert (room_id, user.user_id) in user.server.users.hidden
            assert await keeps(user, "m.ignored_user_list", {}) == (200, {})
            room_id = await ana.room()
            assert await ana.act(room_id, "invite", user_id=user.user_id) == (200, {})
            assert (room_id, user.user_id) not in user.server.users.hidden

    played(scenario)


def test_an_invite_that_its_user_blocks_is_refused() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        cay = Client(ana.session, ana.server, "cay")
        room_id = await ana.room()
        for user in (ben, cay):
            await keeps(user, "m.invite_permission_config", {"default_action": "block"})
            status, answer = await ana.act(room_id, "invite", user_id=user.user_id)
            assert (status, answer["errcode"]) == (403, "M_INVITE_BLOCKED")

    played(scenario)


def test_an_invite_by_a_user_whom_a_policy_list_bans_is_refused() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        cay, dan = (Client(ana.session, ben.server, name) for name in ("cay", "dan"))
        listed = await cay.room(preset="public_chat", name="Policies")
        rule = {"entity": "@ana:*", "recommendation": "m.ban", "reason": "spam"}
        await set_state(cay, listed, "m.policy.rule.user", rule, "ana")
        ben.server.users.policy_rooms = (listed, "!gone:x.example")
        room_id = await ana.room()
        status, answer = await ana.act(room_id, "invite", user_id=ben.user_id)
        assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
        assert await dan.act(await dan.room(), "invite", user_id=ben.user_id) == (200, {})
        own = Client(ana.session, ben.server, "ana")
        status, answer = await own.act(await own.room(), "invite", user_id=ben.user_id)
        assert (status, answer["errcode"]) == (403, "M_INVITE_BLOCKED")
        await set_state(cay, listed, "m.policy.rule.user", {}, "ana")
        assert await ana.act(room_id, "invite", user_id=ben.user_id) == (200, {})

    played(scenario)


def test_account_data_is_the_users_own() -> None:
    async def scenario(ana: Client, _: Client) -> None:
        path = f"user/{quote(ana.user_id)}/account_data/m.ignored_user_list"
        other = path.replace("ana", "cay")
        ignored: dict[str, Any] = {"ignored_users": {}}
        assert await refused(ana, path) == (404, "M_NOT_FOUND")
        assert (await ana.call("PUT", path, ignored))[0] == 200
        assert await ana.call("GET", path) == (200, ignored)
        assert await refused(ana, other) == (404, "M_NOT_FOUND")
        for where, body, status in (
            (other, ignored, 403),
            (path, [], 400),
            (path.replace("m.ignored_user_list", "m.direct"), ignored, 400),
        ):
            assert (await ana.call("PUT", where, body))[0] == status

    played(scenario)


def test_a_forgotten_room_is_not_shown_until_the_user_returns() -> None:
    async def scenario(ana: Client, _: Client) -> None:
        cay = Client(ana.session, ana.server, "cay")
        room_id = await ana.room(preset="public_chat")
        path = f"rooms/{quote(room_id)}/messages?dir=b"
        await cay.post(f"join/{quote(room_id)}")
        await cay.act(room_id, "leave")
        await got(cay, path, shapes.MESSAGES)
        assert await cay.act(room_id, "forget") == (200, {})
        for hidden in (path, f"rooms/{quote(room_id)}/state", f"rooms/{quote(room_id)}/members"):
            assert await refused(cay, hidden) == (403, "M_FORBIDDEN")
        await cay.post(f"join/{quote(room_id)}")
        await got(cay, path, shapes.MESSAGES)

    played(scenario)


def test_leaving_forgets_where_the_server_forces_it() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        cay = Client(ana.session, ben.server, "cay")
        ben.server.users.forces_forgetting = True
        for server, forced in ((ana, False), (ben, True)):
            _, answer = await server.call("GET", "capabilities")
            told = answer["capabilities"]["m.forget_forced_upon_leave"]
            assert told == {"enabled": forced}
        room_id = await ana.room(preset="public_chat")
        path = f"rooms/{quote(room_id)}/messages?dir=b"
        for user in (ben, cay):
            assert (await user.post(f"join/{quote(room_id)}?via={ana.server.name}"))[0] == 200
            await until(partial(has_joined, ana, room_id, user))
        await got(ben, path, shapes.MESSAGES)
        await ben.act(room_id, "leave")
        assert await refused(ben, path) == (403, "M_FORBIDDEN")
        # A kick by another server forgets it as well.
        await ana.act(room_id, "kick", user_id=cay.user_id)
        await until(lambda: ben.membership(room_id, cay.user_id) is LEAVE)
        assert await refused(cay, path) == (403, "M_FORBIDDEN")

    played(scenario)


def test_suspended_and_locked_users_send_as_little_as_they_may() -> None:
    async def scenario(ana: Client, _: Client) -> None:
        cay = Client(ana.session, ana.server, "cay")
        room_id = await ana.room(preset="public_chat")
        await cay.post(f"join/{quote(room_id)}")
        own, other = await send(cay, room_id, "hi"), await send(ana, room_id, "hello")
        ana.server.users.suspended = {cay.user_id}
        room = f"rooms/{quote(room_id)}"
        for method, path, body, status in (
            ("PUT", f"{room}/send/m.room.message/1", said("x"), 403),
            ("PUT", f"{room}/state/m.room.topic", {"topic": "x"}, 403),
            ("PUT", f"{room}/redact/{quote(other)}/2", {}, 403),
            ("PUT", f"{room}/redact/{quote(own)}/3", {}, 200),
            ("GET", f"{room}/messages?dir=b", None, 200),
            ("POST", f"{room}/invite", {"user_id": "@x:y.example"}, 403),
            ("POST", f"{room}/leave", {}, 200),
        ):
            found, answer = await cay.call(method, path, body)
            assert found == status, (path, answer)
            if status != 200:
                assert answer["errcode"] == "M_USER_SUSPENDED"
        ana.server.users.suspended = set()
        ana.server.users.locked = {ana.user_id}
        status, answer = await ana.call("PUT", f"{room}/send/m.room.message/1", said("x"))
        assert (status, answer["errcode"]) == (401, "M_USER_LOCKED")
        status, answer = await ana.act(room_id, "leave")
        assert (status, answer["errcode"]) == (401, "M_USER_LOCKED")

    played(scenario)


def test_what_cannot_be_sent_is_refused() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room()
        room = f"rooms/{quote(room_id)}"
        for user, path, body, errcode in (
            (ana, f"{room}/send/m.room.message/1", [], "M_BAD_JSON"),
            (ana, f"{room}/send/m.room.message/1", {"x": 0.5}, "M_BAD_JSON"),
            (ana, f"{room}/state/m.room.power_levels", {"users": 5}, "M_FORBIDDEN"),
            (ben, f"{room}/send/m.room.message/1", {}, "M_FORBIDDEN"),
        ):
            status, answer = await user.call("PUT", path, body)
            assert (answer.get("errcode"), status in (400, 403)) == (errcode, True), answer

    played(scenario)
