"""A malformed event is passed over and named: the room is judged by the others."""

from __future__ import annotations

from matrix_membership import auth, may
from matrix_membership.errors import InvalidEvent
from matrix_membership.state import PassedOver
from tests.builders import BEN
from tests.reports.given import report, state_of

NAME = "07-one-malformed-event-spoils-the-room"
ID = "$" + "g" * 43
MALFORMED = PassedOver(3, "m.room.guest_access", "", ID, InvalidEvent("content", "an object", ""))


class TestJoin:
    def test_is_as_the_report_says(self) -> None:
        assert report(NAME)["input"]["ask"] == [[BEN, "join"]]
        assert report(NAME)["expected"]["join"] == "yes"
        assert may(BEN, state_of(NAME)).join()


class TestMalformedEvent:
    def test_is_told(self) -> None:
        assert state_of(NAME).passed_over == (MALFORMED,)
        assert str(MALFORMED) == (
            f"entry 3 (m.room.guest_access '' {ID}): content: expected an object, got ''"
        )

    def test_is_told_by_an_explanation(self) -> None:
        answer = may(BEN, state_of(NAME)).join()
        explanation = auth.explain(answer.event, answer.state)
        assert explanation.passed_over == (MALFORMED,)
        assert str(explanation).endswith(f"passed over\n  {MALFORMED}")
        assert explanation.to_dict()["passed_over"] == [
            {
                "index": 3,
                "type": "m.room.guest_access",
                "state_key": "",
                "event_id": ID,
                "error": "content: expected an object, got ''",
            }
        ]
