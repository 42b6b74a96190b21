"""The example shows users their history, and tells of rooms and spaces that they are not in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests import shapes
from tests.test_example_client import Client, played, until


def said(text: str) -> dict[str, str]:
    return {"msgtype": "m.text", "body": text}


async def send(user: Client, room_id: str, text: str) -> str:
    """The ID of a message."""
    path = f"rooms/{quote(room_id)}/send/m.room.message/{quote(text, safe='')}"
    status, answer = await user.call("PUT", path, said(text))
    assert status == 200, answer
    return str(answer["event_id"])


async def set_state(user: Client, room_id: str, kind: str, content: Any, key: str = "") -> str:
    path = f"rooms/{quote(room_id)}/state/{kind}/{quote(key, safe='')}"
    status, answer = await user.call("PUT", path, content)
    assert status == 200, answer
    return str(answer["event_id"])


async def got(user: Client, path: str, shape: Any) -> Any:
    """A good answer, of the shape of the specification."""
    status, answer = await user.call("GET", path)
    assert status == 200, answer
    assert shapes.misfits(answer, shape) == []
    return answer


async def refused(user: Client, path: str) -> tuple[int, str]:
    status, answer = await user.call("GET", path)
    assert shapes.misfits(answer, shapes.ERROR) == []
    return status, answer["errcode"]


def bodies(chunk: Any) -> list[Any]:
    return [event["content"].get("body") for event in chunk if event["type"] == "m.room.message"]


@pytest.mark.parametrize("version", ["1", "11", "12"])
def test_history_comes_in_pages_with_the_membership(version: str) -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(preset="public_chat", room_version=version)
        room = f"rooms/{quote(room_id)}"
        place = "m.room.history_visibility"
        await set_state(ana, room_id, place, {"history_visibility": "joined"})
        await send(ana, room_id, "early")
        await ben.post(f"join/{quote(room_id)}?via={ana.server.name}")
        await until(lambda: ana.membership(room_id, ben.user_id) is not None)
        for number in range(3):
            await send(ana, room_id, f"late {number}")

        back = await got(ana, f"{room}/messages?dir=b&limit=2", shapes.MESSAGES)
        assert bodies(back["chunk"]) == ["late 2", "late 1"]
        more = await got(ana, f"{room}/messages?dir=b&limit=50&from={back['end']}", shapes.MESSAGES)
        assert bodies(more["chunk"]) == ["late 0", "early"]
        assert "end" not in more
        forth = await got(ana, f"{room}/messages?dir=f&limit=5&from={back['end']}", shapes.MESSAGES)
        assert bodies(forth["chunk"]) == ["late 1", "late 2"]
        assert "end" not in forth
        part = f"{room}/messages?dir=f&from={back['end']}&to={back['start']}&limit=1"
        assert bodies((await got(ana, part, shapes.MESSAGES))["chunk"]) == ["late 1"]
        told = [event["unsigned"]["membership"] for event in more["chunk"]]
        assert set(told) == {"join", "leave"} or set(told) == {"join"}

        shown = await got(ben, f"{room}/messages?dir=f", shapes.MESSAGES)
        assert bodies(shown["chunk"]) == [f"late {number}" for number in range(3)]
        for query in ("dir=x", "", "dir=b&from=b$nothing", "dir=b&to=x"):
            assert await refused(ana, f"{room}/messages?{query}") == (400, "M_INVALID_PARAM")

    played(scenario)


def test_users_see_events_as_far_as_they_may() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        cay = Client(ana.session, ana.server, "cay")
        room_id = await ana.room(preset="public_chat")
        room = f"rooms/{quote(room_id)}"
        place = "m.room.history_visibility"
        await set_state(ana, room_id, place, {"history_visibility": "joined"})
        early = await send(ana, room_id, "early")
        await cay.post(f"join/{quote(room_id)}")
        late = await send(ana, room_id, "late")

        assert (await got(cay, f"{room}/event/{late}", shapes.CLIENT_EVENT))["content"] == said(
            "late"
        )
        for event_id in (early, "$nothing"):
            for kind in ("event", "context"):
                assert await refused(cay, f"{room}/{kind}/{event_id}") == (404, "M_NOT_FOUND")
        around = await got(cay, f"{room}/context/{late}?limit=4", shapes.CONTEXT)
        # The change of visibility too: the old value shows it to users who joined since.
        assert [event["type"] for event in around["events_before"]] == ["m.room.member", place]
        assert any(event["type"] == "m.room.create" for event in around["state"])

        for path in (f"{room}/messages?dir=b", f"{room}/state", f"{room}/members"):
            assert await refused(ben, path) == (403, "M_FORBIDDEN")
        assert (await refused(ben, f"{room}/event/{late}"))[0] == 404

        await cay.act(room_id, "leave")
        await set_state(ana, room_id, "m.room.topic", {"topic": "after"})
        hidden = await send(ana, room_id, "after the leave")
        assert (await refused(cay, f"{room}/event/{hidden}"))[0] == 404
        state = await got(cay, f"{room}/state", shapes.STATE_EVENTS)
        assert "m.room.topic" not in {event["type"] for event in state}
        await set_state(ana, room_id, place, {"history_visibility": "world_readable"})
        open_to_all = await send(ana, room_id, "for all")
        dan = Client(ana.session, ana.server, "dan")
        assert await got(dan, f"{room}/event/{open_to_all}", shapes.CLIENT_EVENT)

    played(scenario)


def test_members_are_listed_by_membership_and_at_a_point() -> None:
    async def scenario(ana: Client, _: Client) -> None:
        cay = Client(ana.session, ana.server, "cay")
        room_id = await ana.room(preset="public_chat")
        room = f"rooms/{quote(room_id)}"
        await send(ana, room_id, "alone")
        point = (await got(ana, f"{room}/messages?dir=b&limit=1", shapes.MESSAGES))["start"]
        await cay.post(f"join/{quote(room_id)}")
        await cay.act(room_id, "leave")

        async def members(query: str) -> list[str]:
            answer = await got(ana, f"{room}/members?{query}", shapes.MEMBERS)
            return [event["state_key"] for event in answer["chunk"]]

        assert await members("") == [ana.user_id, cay.user_id]
        assert await members("membership=leave") == [cay.user_id]
        assert await members("not_membership=leave") == [ana.user_id]
        assert await members(f"at={quote(point)}") == [ana.user_id]
        assert await members(f"at={quote('b' + point[1:])}") == [ana.user_id]
        for query in ("membership=away", "at=b$nothing"):
            assert await refused(ana, f"{room}/members?{query}") == (400, "M_INVALID_PARAM")

    played(scenario)


@pytest.mark.parametrize("version", ["1", "10", "11"])
def test_a_redacted_event_is_shown_redacted(version: str) -> None:
    async def scenario(ana: Client, _: Client) -> None:
        room_id = await ana.room(room_version=version)
        event_id = await send(ana, room_id, "oh no")
        path = f"rooms/{quote(room_id)}/redact/{quote(event_id, safe='')}/1"
        status, answer = await ana.call("PUT", path, {"reason": "spam"})
        assert status == 200
        assert await ana.call("PUT", path, {"reason": "spam"}) == (200, answer)
        shown = await got(ana, f"rooms/{quote(room_id)}/event/{event_id}", shapes.CLIENT_EVENT)
        assert shown["content"] == {}
        assert shown["unsigned"]["redacted_because"]["event_id"] == answer["event_id"]

    played(scenario)


CLIENT_V1 = "../v1"


def test_summaries_come_from_here_and_from_other_servers() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(preset="public_chat", name="Cheese", room_alias_name="cheese")
        alias = quote(f"#cheese:{ana.server.name}", safe="")
        for user, membership in ((ana, "join"), (ben, "leave")):
            path = f"{CLIENT_V1}/room_summary/{alias}"
            told = await got(user, path, shapes.ROOM_SUMMARY)
            assert (told["room_id"], told["name"]) == (room_id, "Cheese")
            assert told["membership"] == membership
        closed = await ana.room()
        path = f"{CLIENT_V1}/room_summary/{quote(closed)}?via={ana.server.name}"
        assert await refused(ben, path) == (404, "M_NOT_FOUND")
        assert (await refused(ben, f"{CLIENT_V1}/room_summary/cheese"))[0] == 400
        nowhere = quote(f"#none:{ana.server.name}", safe="")
        assert (await refused(ben, f"{CLIENT_V1}/room_summary/{nowhere}"))[0] == 404

    played(scenario)


def test_the_tree_of_a_space_comes_from_here_and_from_other_servers() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        far = await ben.room(preset="public_chat", name="Far")
        near = await ana.room(preset="public_chat", name="Near")
        closed = await ana.room(name="Closed")
        space = await ana.room(preset="public_chat", creation_content={"type": "m.space"})
        for room_id, home, order in ((near, ana, "b"), (far, ben, "a"), (closed, ana, "c")):
            content = {"via": [home.server.name], "order": order, "suggested": room_id == far}
            await set_state(ana, space, "m.space.child", content, room_id)
        path = f"{CLIENT_V1}/rooms/{quote(space)}/hierarchy"

        async def rooms(user: Client, query: str = "") -> tuple[list[Any], str]:
            answer = await got(user, f"{path}?{query}", shapes.HIERARCHY)
            return [room["room_id"] for room in answer["rooms"]], answer.get("next_batch", "")

        assert await rooms(ana) == ([space, far, near, closed], "")
        assert await rooms(ana, "suggested_only=true") == ([space, far], "")
        first, token = await rooms(ana, "limit=3")
        assert first == [space, far, near]
        assert await rooms(ana, f"limit=3&from={token}") == ([closed], "")
        assert await refused(ana, f"{path}?from={token}&max_depth=1") == (400, "M_INVALID_PARAM")
        assert await rooms(ana, "max_depth=0") == ([space], "")
        assert await refused(ben, path) == (403, "M_FORBIDDEN")
        await ben.post(f"join/{quote(space)}?via={ana.server.name}")
        assert await rooms(ben) == ([space, far, near], "")

    played(scenario)
