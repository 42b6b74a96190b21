"""The Synapse of the interop tests runs, and its users can use it."""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path

import pytest

from tests.interop.client_api import CallFailed
from tests.interop.synapse import Synapse, SynapseFailed, self_signed, wait_until

pytestmark = pytest.mark.interop

VERSIONS = tuple(str(number) for number in range(1, 13))


class TestSynapse:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_has_rooms_of_every_version(self, synapse: Synapse, version: str) -> None:
        ana = synapse.register(f"ana{version}")
        ben = synapse.register(f"ben{version}")
        room_id = ana.create_room(version)
        assert ben.join(room_id) == room_id
        assert ana.joined_members(room_id) == {ana.user_id, ben.user_id}
        create = next(event for event in ana.state(room_id) if event["type"] == "m.room.create")
        assert create["content"]["room_version"] == version

    def test_moves_a_user_through_the_memberships(self, synapse: Synapse) -> None:
        ana, ben = synapse.register("ana"), synapse.register("ben")
        room_id = ana.create_room("12", preset="private_chat")
        ana.send_state(room_id, "m.room.join_rules", {"join_rule": "knock"})
        ben.knock(room_id)
        ana.invite(room_id, ben.user_id)
        assert room_id in ben.sync()["rooms"]["invite"]
        ben.join(room_id)
        ana.kick(room_id, ben.user_id)
        ana.ban(room_id, ben.user_id)
        ana.unban(room_id, ben.user_id)
        ana.leave(room_id)
        assert ben.request("GET", f"rooms/{room_id}/joined_members")[0] == 403

    def test_delivers_a_message(self, synapse: Synapse) -> None:
        cay = synapse.register("cay")
        room_id = cay.create_room("11")
        before = cay.sync()["next_batch"]
        event_id = cay.send_message(room_id, "hello")
        timeline = cay.sync(before)["rooms"]["join"][room_id]["timeline"]["events"]
        assert [event["event_id"] for event in timeline] == [event_id]

    def test_says_why_it_refuses(self, synapse: Synapse) -> None:
        dan, eve = synapse.register("dan"), synapse.register("eve")
        room_id = dan.create_room("12", preset="private_chat")
        with pytest.raises(CallFailed) as refused:
            eve.join(room_id)
        assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")

    def test_goes_on_after_a_restart(self, synapse: Synapse) -> None:
        fay = synapse.register("fay")
        room_id = fay.create_room("12")
        synapse.stop()
        synapse.start()
        assert fay.joined_members(room_id) == {fay.user_id}

    def test_shows_its_log_when_it_does_not_start(self) -> None:
        wrong = Synapse(options={"server_name": "not a server name"})
        with pytest.raises(SynapseFailed, match="not a server name"), wrong:
            pass
        assert not wrong.root.exists()

    def test_is_gone_after_an_error(self) -> None:
        group = 0
        short = Synapse()
        with contextlib.suppress(ZeroDivisionError), short:
            assert short._process is not None
            group = short._process.pid
            _ = 1 / 0
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
        assert not short.root.exists()


class TestSelfSigned:
    def test_loads_as_a_server_certificate(self, synapse: Synapse, tmp_path: Path) -> None:
        made = self_signed(synapse.python, tmp_path)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)


class TestWaitUntil:
    def test_returns_the_first_true_answer(self) -> None:
        answers = iter(["", "", "yes"])
        assert wait_until(lambda: next(answers), interval=0) == "yes"

    def test_gives_up(self) -> None:
        with pytest.raises(TimeoutError):
            wait_until(lambda: 0, 0, interval=0)
