"""A suspended user's requests, answered by a Synapse and by these functions."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import pytest

from matrix_membership import client
from matrix_membership.federation import MatrixError
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, Room, a_room
from tests.client.rooms import about, forgets, joins, knocks, leaves, resident
from tests.interop.client_api import SynapseUser
from tests.interop.synapse import Synapse

pytestmark = pytest.mark.interop

SUSPENDED: Final = client.UserSettings(suspended=True)

# Synapse allows these requests of a suspended user; this library refuses them.
MORE_IN_SYNAPSE: Final = frozenset({"kick", "unban"})


def suspend(root: SynapseUser, user: SynapseUser) -> None:
    path = f"/_synapse/admin/v1/suspend/{quote(user.user_id)}"
    status, answer = root.request("PUT", path, {"suspend": True})
    assert status == 200, answer


def by_synapse(user: SynapseUser, room_id: str, action: str, **fields: Any) -> bool:
    """Tell whether Synapse refuses it because the user is suspended."""
    status, answer = user.request("POST", f"rooms/{quote(room_id)}/{action}", fields)
    refused = status != 200 and answer.get("errcode") == "M_USER_SUSPENDED"
    assert refused or status == 200, (action, answer)
    return refused


def by_ours(action: str) -> bool:
    """The same of these functions, in a room where the user may do all of it."""
    room = a_room(V11)
    asked: dict[str, tuple[Any, Any, Room]] = {
        "leave": (client.leave, leaves(ANA, room.room_id), room),
        "invite": (client.invite, about(ANA, room.room_id, BEN), room),
        "kick": (client.kick, about(ANA, room.room_id, BEN), room.with_member(BEN, "join")),
        "ban": (client.ban, about(ANA, room.room_id, BEN), room.with_member(BEN, "join")),
        "unban": (client.unban, about(ANA, room.room_id, BEN), room.with_member(BEN, "ban")),
        "join": (client.join, joins(BEN, room.room_id), room.with_join_rule("public")),
        "knock": (client.knock, knocks(BEN, room.room_id), room.with_join_rule("knock")),
    }
    if action == "forget":
        gone = room.with_member(BEN, "leave")
        answer: Any = client.forget(forgets(BEN, room.room_id), resident(gone), settings=SUSPENDED)
    else:
        ask, request, of = asked[action]
        answer = ask(request, resident(of), at=9, settings=SUSPENDED)
    refused = isinstance(answer, MatrixError) and answer.errcode == "M_USER_SUSPENDED"
    assert refused or not isinstance(answer, MatrixError), answer
    return refused


def test_suspended_users_may_do_the_same(
    sam: SynapseUser, tom: SynapseUser, synapse: Synapse
) -> None:
    root, pat = synapse.register("root", admin=True), synapse.register("pat")
    own, public, invited, knockable, left = (
        pat.create_room("11"),
        sam.create_room("11"),
        sam.create_room("11", preset="private_chat"),
        sam.create_room(
            "11",
            preset="private_chat",
            initial_state=[
                {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
            ],
        ),
        sam.create_room("11"),
    )
    tom.join(own)
    pat.ban(own, root.user_id)
    sam.invite(invited, pat.user_id)
    pat.join(left)
    pat.leave(left)
    message = pat.send_message(own, "hi")
    suspend(root, pat)

    found = {
        "invite": by_synapse(pat, own, "invite", user_id=sam.user_id),
        "kick": by_synapse(pat, own, "kick", user_id=tom.user_id),
        "ban": by_synapse(pat, own, "ban", user_id=tom.user_id),
        "unban": by_synapse(pat, own, "unban", user_id=root.user_id),
        "join": by_synapse(pat, public, "join"),
        "forget": by_synapse(pat, left, "forget"),
    }
    status, answer = pat.request("POST", f"knock/{quote(knockable)}", {})
    found["knock"] = status != 200 and answer["errcode"] == "M_USER_SUSPENDED"
    assert by_synapse(pat, invited, "leave") is by_ours("leave") is False
    path = f"rooms/{quote(own)}/redact/{quote(message, safe='')}/1"
    assert pat.request("PUT", path, {})[0] == 200
    found["leave"] = by_synapse(pat, own, "leave")

    differing = {action for action, refused in found.items() if refused is not by_ours(action)}
    assert differing == MORE_IN_SYNAPSE, found
