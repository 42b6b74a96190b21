"""The program answers commands, and says what it cannot do."""

from __future__ import annotations

import pytest

from tests.observatory.marks import needs_ruma
from tests.observatory.ruma import Ruma

pytestmark = [pytest.mark.observatory, needs_ruma]

ACL = {
    "type": "m.room.server_acl",
    "sender": "@ana:a.example",
    "state_key": "",
    "content": {"allow": ["*"], "more": 1},
}


@pytest.mark.parametrize(("msc2870", "kept"), [(False, {}), (True, {"allow": ["*"]})])
def test_redacts(msc2870: bool, kept: dict[str, object]) -> None:
    with Ruma() as ruma:
        answer = ruma.ask("redact", room_version="11", pdu=ACL, msc2870=msc2870)
    assert answer == {"redacted": {**ACL, "content": kept}}


def test_answers_an_error_and_goes_on() -> None:
    with Ruma() as ruma:
        assert ruma.ask("bake") == {"error": "bake is not a command"}
        assert ruma.ask("redact", room_version="0", pdu={}) == {"error": "0 is not a room version"}
