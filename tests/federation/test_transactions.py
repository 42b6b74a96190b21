from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import RoomState
from matrix_membership.canonical_json import decode, encode, freeze
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.transactions import Transaction, read_transaction
from matrix_membership.hashing import event_id as id_by_hash
from matrix_membership.identifiers import EventID, ServerName
from matrix_membership.receipt import Check, Disposition, Receipt
from matrix_membership.room_versions import V1, V6, V11, RoomVersion
from tests.builders import BEN, Room, a_room, everywhere

B: Final = ServerName("b.example")
ROOM: Final = "!r:a.example"
TYPING: Final = {
    "edu_type": "m.typing",
    "content": {"room_id": ROOM, "user_id": BEN, "typing": True},
}
PRESENCE: Final = {"edu_type": "m.presence", "content": {"push": []}}


def read(body: Any, room: Room | None = None) -> Transaction:
    """The transaction, read in one room."""
    found = asked(body, room)
    assert isinstance(found, Transaction), found
    return found


def asked(body: Any, room: Room | None = None) -> Transaction | MatrixError:
    def state_of(room_id: str) -> RoomState | None:
        return room.state if room is not None and room_id == room.room_id else None

    return read_transaction(body, B, state_of)


def says(room: Room, number: int, *after: str) -> dict[str, Any]:
    """A message of Ben's."""
    made = attrs.evolve(room, made=number)
    body = {"body": f"{number}"}
    # IDs depend on the time, not on the content.
    return made.event(
        "m.room.message", BEN, body, prev_events=after, origin_server_ts=number
    ).to_pdu()


def id_of(pdu: dict[str, Any], version: RoomVersion) -> EventID:
    return EventID(pdu["event_id"]) if version.event_id_in_pdu else id_by_hash(pdu, version)


def denied(room: Room) -> Room:
    return room.with_content("m.room.server_acl", {"allow": ["*"], "deny": ["b.example"]})


def bodies(transaction: Transaction) -> list[Any]:
    return [found.event.content.get("body") for found in transaction.pdus]


class TestShape:
    @pytest.mark.parametrize(
        "body",
        [
            None,
            [],
            "x",
            {},
            {"pdus": {}},
            {"pdus": [], "edus": None},
            {"pdus": [{}] * 51},
            {"pdus": [], "edus": [{}] * 101},
        ],
    )
    def test_is_refused_with_too_many_or_none(self, body: Any) -> None:
        found = asked(body)
        assert isinstance(found, MatrixError)
        assert (found.status, found.errcode) == (400, "M_BAD_JSON")

    def test_has_up_to_fifty_pdus_and_a_hundred_edus(self) -> None:
        found = read({"pdus": [{}] * 50, "edus": [PRESENCE] * 100})
        assert (len(found.elsewhere), len(found.edus)) == (50, 100)

    def test_is_refused_if_it_is_not_json(self) -> None:
        found = asked({"pdus": [], "x": object()})
        assert isinstance(found, MatrixError)
        assert found.errcode == "M_BAD_JSON"

    def test_ignores_other_keys(self) -> None:
        body = {
            "pdus": [],
            "pdu_failures": [{"x": 1}],
            "origin": "x.example",
            "origin_server_ts": 5,
        }
        assert read(body) == Transaction(B, ())


class TestPdus:
    @everywhere
    def test_are_read_by_the_version_of_their_room(self, version: RoomVersion) -> None:
        room = a_room(version)
        pdu = says(room, 1)
        found = read({"pdus": [pdu]}, room)
        assert [entry.event.event_id for entry in found.pdus] == [id_of(pdu, version)]
        assert found == Transaction(B, found.pdus)

    @everywhere
    def test_of_another_form_are_refused_by_their_id(self, version: RoomVersion) -> None:
        room = a_room(version)
        pdu = says(room, 1) | {"depth": "deep"}
        found = read({"pdus": [pdu]}, room)
        name = id_of(pdu, version)
        assert list(found.refused) == [name]
        assert found.refused[name].startswith("depth: expected")

    @pytest.mark.parametrize(
        ("version", "odd"),
        [
            (V1, {"event_id": 5}),
            (V1, {"event_id": "x"}),
            (V6, {"content": 5}),
            (V11, {"type": [1.5]}),
        ],
    )
    def test_without_an_id_are_told_apart(self, version: RoomVersion, odd: Any) -> None:
        room = a_room(version)
        found = read({"pdus": [says(room, 1) | odd]}, room)
        assert (found.pdus, len(found.unnamed) + len(found.refused)) == ((), 1)

    def test_that_are_not_objects_have_no_id(self) -> None:
        assert read({"pdus": [5, None, []]}).unnamed == ("a PDU is an object",) * 3

    @pytest.mark.parametrize("room_id", ["!elsewhere:x.example", None, 5, ["x"]])
    def test_of_other_rooms_are_kept_as_they_came(self, room_id: Any) -> None:
        room = a_room(V11)
        pdu = says(room, 1) | {"room_id": room_id}
        found = read({"pdus": [pdu]}, room)
        assert found.elsewhere == (freeze(pdu),)
        assert found.unnamed == ("this server is not in the room",)
        assert found.answer({}) == {"pdus": {}}

    @everywhere
    def test_of_a_room_that_denies_their_server_are_refused(self, version: RoomVersion) -> None:
        room = denied(a_room(version))
        pdu = says(room, 1)
        found = read({"pdus": [pdu]}, room)
        reason = "the room's access control list denies b.example"
        assert found == Transaction(B, (), refused=found.refused)
        assert found.answer({}) == {"pdus": {id_of(pdu, version): {"error": reason}}}

    def test_that_come_twice_are_received_once(self) -> None:
        room = a_room(V11)
        assert bodies(read({"pdus": [says(room, 1), says(room, 2), says(room, 1)]}, room)) == [
            "1",
            "2",
        ]

    def test_ask_for_the_state_of_each_room_once(self) -> None:
        room, asked_for = a_room(V11), []

        def state_of(room_id: str) -> RoomState:
            asked_for.append(room_id)
            return room.state

        body = {"pdus": [says(room, 1), says(room, 2)], "edus": [TYPING]}
        read_transaction(body, B, state_of)
        assert asked_for == [ROOM]


class TestOrder:
    def test_is_that_of_the_transaction(self) -> None:
        room = a_room(V11)
        assert bodies(read({"pdus": [says(room, n) for n in (3, 1, 2)]}, room)) == ["3", "1", "2"]

    @given(st.permutations(range(6)))
    def test_puts_each_event_after_those_that_it_refers_to(self, order: list[int]) -> None:
        room = a_room(V11)
        line: list[dict[str, Any]] = []
        for number in range(6):
            # Two events behind: two lines, which meet in the last event.
            before = line[-2:] if number == 5 else line[-2:-1]
            named: list[str] = [id_by_hash(pdu, V11) for pdu in before]
            line.append(says(room, number, *(named or ["$" + "p" * 43])))
        found = bodies(read({"pdus": [line[place] for place in order]}, room))
        assert sorted(found) == ["0", "1", "2", "3", "4", "5"]
        for first, second in (("0", "2"), ("2", "4"), ("1", "3"), ("3", "5"), ("4", "5")):
            assert found.index(first) < found.index(second)

    def test_ends_where_events_refer_to_each_other(self) -> None:
        """In version 1 their server chooses the IDs."""
        room = a_room(V1)
        first, second = says(room, 1, "$e2:a.example"), says(room, 2, "$e1:a.example")
        first["event_id"], second["event_id"] = "$e1:a.example", "$e2:a.example"
        assert bodies(read({"pdus": [first, second]}, room)) == ["2", "1"]


class TestEdus:
    def test_pass_untouched(self) -> None:
        edus = [
            PRESENCE,
            TYPING,
            {"edu_type": 5, "x": [1]},
            {},
            {"edu_type": "m.receipt", "content": 5},
        ]
        assert read({"pdus": [], "edus": edus}, a_room(V11)).edus == freeze(edus)

    def test_that_are_not_objects_are_left_out(self) -> None:
        assert read({"pdus": [], "edus": [5, None, PRESENCE]}).edus == freeze([PRESENCE])

    def test_of_a_room_that_denies_their_server_are_left_out(self) -> None:
        room = denied(a_room(V11))
        receipt = {"m.read": {BEN: {"event_ids": ["$x"], "data": {}}}}
        both = {"edu_type": "m.receipt", "content": {ROOM: receipt, "!other:x.example": receipt}}
        other = {"edu_type": "m.receipt", "content": {"!other:x.example": receipt}}
        found = read({"pdus": [], "edus": [TYPING, both, other, PRESENCE]}, room)
        assert found.edus == freeze([other, other, PRESENCE])
        assert read({"pdus": [], "edus": [both]}, a_room(V11)).edus == freeze([both])


class TestAnswer:
    def test_has_an_entry_for_each_named_pdu(self) -> None:
        room = a_room(V11)
        found = read({"pdus": [says(room, 1), says(room, 2) | {"depth": -1}, 5]}, room)
        first = found.pdus[0].event.event_id
        (second,) = found.refused
        assert found.answer({first: None}) == {
            "pdus": {second: {"error": found.refused[second]}, first: {}}
        }
        assert found.answer({})["pdus"][first] == {"error": "not processed"}

    @pytest.mark.parametrize("disposition", list(Disposition))
    def test_tells_errors_of_dropped_and_rejected_events_alone(
        self, disposition: Disposition
    ) -> None:
        receipt = Receipt(disposition, Check.FORMAT)
        fails = disposition in (Disposition.DROPPED, Disposition.REJECTED)
        entry = Transaction(B, ()).answer({EventID("$x"): receipt})["pdus"]["$x"]
        assert entry == ({"error": str(receipt)} if fails else {})

    def test_is_json(self) -> None:
        room = denied(a_room(V11))
        answer = read({"pdus": [says(room, 1)]}, room).answer({EventID("$x"): "no"})
        assert decode(encode(answer, strict=True), strict=True) == answer
