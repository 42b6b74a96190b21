"""Hashes, event IDs, and the specification's cryptographic vectors."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership.errors import InvalidEvent, InvalidIdentifier
from matrix_membership.hashing import (
    content_hash,
    event_id,
    id_of,
    reference_hash,
    signed_bytes,
)
from matrix_membership.room_versions import V1, V2, V3, V4, V10, V11, V12, RoomVersion
from matrix_membership.signing import Signer, sign_json
from tests.builders import VERSIONS

SIGNER = Signer.from_seed("domain", "ed25519:1", "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1")

MINIMAL: dict[str, Any] = {
    "room_id": "!x:domain",
    "sender": "@a:domain",
    "origin": "domain",
    "origin_server_ts": 1000000,
    "signatures": {},
    "hashes": {},
    "type": "X",
    "content": {},
    "prev_events": [],
    "auth_events": [],
    "depth": 3,
    "unsigned": {"age_ts": 1000000},
}
REDACTABLE: dict[str, Any] = {
    "content": {"body": "Here is the message content"},
    "event_id": "$0:domain",
    "origin": "domain",
    "origin_server_ts": 1000000,
    "type": "m.room.message",
    "room_id": "!r:domain",
    "sender": "@u:domain",
    "signatures": {},
    "unsigned": {"age_ts": 1000000},
}


def hashed(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "hashes": {"sha256": content_hash(event)}}


class TestVectors:
    def test_key(self) -> None:
        assert SIGNER.verify_key == "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"

    @pytest.mark.parametrize(
        ("document", "signature"),
        [
            (
                {},
                "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ",
            ),
            (
                {"one": 1, "two": "Two"},
                "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
            ),
        ],
    )
    def test_signed_json(self, document: dict[str, Any], signature: str) -> None:
        signed = sign_json(document, SIGNER)
        assert signed == {**document, "signatures": {"domain": {"ed25519:1": signature}}}

    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            (MINIMAL, "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos"),
            (REDACTABLE, "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g"),
        ],
    )
    def test_content_hash(self, event: dict[str, Any], expected: str) -> None:
        assert content_hash(event) == expected

    @pytest.mark.parametrize(
        ("event", "version", "signature"),
        [
            (
                MINIMAL,
                V1,
                "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
            ),
            (
                REDACTABLE,
                V10,
                "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
            ),
            (
                MINIMAL,
                V12,
                "Jxp+1glFcZM+nnHpY0EkedRR7u0VmKsJYGnQqIvqus3UvL5X/p1y6wSkLhGoTBel6MZ9lrMIzUqrjqFquWJKBw",
            ),
            (
                REDACTABLE,
                V11,
                "4WQB/6LN2OtkUN/+18xUNB/U4RTX1N3EeKBdlCxux08YO8izKDrSRqML1XB8V97IK7AujkNO1xMl7TaBLA4kDw",
            ),
        ],
    )
    def test_signed_event(
        self, event: dict[str, Any], version: RoomVersion, signature: str
    ) -> None:
        assert SIGNER.signature_over(signed_bytes(hashed(event), version)) == signature

    @pytest.mark.parametrize(
        ("event", "version", "expected"),
        [
            (MINIMAL, V4, "$8yif6p8EqgoSten2BLje9ntKm720NyFLWQv9tn8memc"),
            (MINIMAL, V12, "$70O_oKlXzFbkfu0KE88USi98DjSWrOELrPj-8tisl8I"),
            (REDACTABLE, V3, "$oFAil2fHTGY66j9PIsC3hnc+/6r2SQGxCzd1/FUgtOE"),
            (REDACTABLE, V10, "$oFAil2fHTGY66j9PIsC3hnc-_6r2SQGxCzd1_FUgtOE"),
            (REDACTABLE, V11, "$4Wse3wARkU3vfz3WvvTUUlWan9kETgdNEiY6CTbJGTQ"),
            (REDACTABLE, V2, "$0:domain"),
        ],
    )
    def test_event_id(self, event: dict[str, Any], version: RoomVersion, expected: str) -> None:
        assert event_id(hashed(event), version) == expected


class TestReferenceHash:
    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_is_the_event_id_from_version_3_on(self, version: RoomVersion) -> None:
        event = hashed(MINIMAL) | {"event_id": "$0:domain"}
        plain = reference_hash(event, version)
        safe = plain.replace("+", "-").replace("/", "_")
        expected = {V1: "0:domain", V2: "0:domain", V3: plain}.get(version, safe)
        assert event_id(event, version) == "$" + expected

    def test_is_over_content_only_through_its_hash(self) -> None:
        other = REDACTABLE | {"content": {"body": "other"}}
        assert reference_hash(REDACTABLE, V4) == reference_hash(other, V4)
        assert reference_hash(hashed(REDACTABLE), V4) != reference_hash(hashed(other), V4)

    def test_needs_an_event(self) -> None:
        for event in ({}, {"type": "x"}, {"type": "x", "content": []}):
            with pytest.raises(InvalidEvent):
                reference_hash(event, V4)

    def test_makes_no_id_in_version_1(self) -> None:
        with pytest.raises(InvalidIdentifier):
            event_id(MINIMAL, V1)
        with pytest.raises(InvalidEvent):
            id_of(b"", V1)


class TestContentHash:
    def test_leaves_out_what_is_added_later(self) -> None:
        more = MINIMAL | {"unsigned": 1, "signatures": 2, "hashes": 3}
        assert content_hash(more) == content_hash(MINIMAL)

    @pytest.mark.parametrize("key", ["age_ts", "outlier", "x"])
    def test_covers_everything_else(self, key: str) -> None:
        assert content_hash(MINIMAL | {key: 1}) != content_hash(MINIMAL)
