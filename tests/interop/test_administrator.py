"""An administrator of a Synapse asks the commands why a user of theirs cannot join."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from matrix_membership.cli import main
from matrix_membership.room_versions import RoomVersion
from tests.builders import everywhere
from tests.interop.client_api import SynapseUser
from tests.interop.synapse import Synapse

pytestmark = pytest.mark.interop


@pytest.fixture(scope="session")
def administrator(synapse: Synapse) -> SynapseUser:
    return synapse.register("administrator", admin=True)


@everywhere
def test_finds_out_that_a_user_is_banned(
    administrator: SynapseUser,
    sam: SynapseUser,
    tom: SynapseUser,
    version: RoomVersion,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    room_id = sam.create_room(version.identifier)
    sam.ban(room_id, tom.user_id)
    path = f"/_synapse/admin/v1/rooms/{quote(room_id, safe='')}/state"
    status, answer = administrator.request("GET", path)
    assert status == 200
    state, page = tmp_path / "state.json", tmp_path / "why.html"
    state.write_text(json.dumps(answer), "utf-8")
    assert main(["explain", str(state), "--join", tom.user_id, "--html", str(page)]) == 1
    said = capsys.readouterr().out
    assert "the sender is banned" in said
    assert f"unban {tom.user_id} (by {sam.user_id})" in said
    assert "the sender is banned" in page.read_text("utf-8")
    assert (
        sam.request("POST", f"rooms/{quote(room_id, safe='')}/unban", {"user_id": tom.user_id})[0]
        == 200
    )
    assert main(["lint", str(state)]) == 0
    tom.join(room_id)
