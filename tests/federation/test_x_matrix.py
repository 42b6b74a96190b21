"""The `Authorization` header of requests between servers."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from matrix_membership._attrs import evolve
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.federation.messages import MatrixError, Request
from matrix_membership.federation.x_matrix import LONGEST_HEADER, MOST_SIGNATURES, Authorization
from matrix_membership.identifiers import ServerName
from matrix_membership.signing import KeyRing, Signer
from tests.builders import KEYS, SIGNER_A, SIGNER_B
from tests.sources import ROOT

A: Final = ServerName("a.example")
GET: Final = Request("GET", "/_matrix/federation/v1/x/%21r", (("ver", "11"), ("ver", "12")))
PUT: Final = Request("PUT", "/_matrix/federation/v1/send/1", (), b'{"pdus":[],"n":1.5}')
SECOND: Final = Signer.from_seed("a.example", "ed25519:2", "Z" * 42 + "A")
BOTH: Final = SIGNER_A.key_ring.with_keys(SECOND.key_ring)
READ: Final = Authorization(A, ServerName("b.example"), (("ed25519:a", "xy+/z"),))
SYNAPSE: Final = json.loads((ROOT / "tests/data/x_matrix/synapse.json").read_text("utf-8"))


def verified(
    claim: Authorization,
    request: Request,
    *,
    keys: KeyRing = KEYS,
    server_name: str = "b.example",
    at: int = 0,
    **changes: Any,
) -> MatrixError | None:
    """The result of `verify` for a request, of which some parts may have changed."""
    parts = {"method": request.method, "uri": request.uri, "content": request.content, **changes}
    return claim.verify(**parts, server_name=server_name, keys=keys, at=at)


def unauthorized(sentence: str) -> MatrixError:
    return MatrixError("M_UNAUTHORIZED", sentence, 401)


NOT_SIGNED: Final = unauthorized(f"a.example did not sign this request by {SIGNER_A.key_id}")
NO_KEY: Final = unauthorized("no key of a.example is known that is good now")


class TestHeader:
    @pytest.mark.parametrize(
        "header",
        [
            'X-Matrix origin="a.example",destination="b.example",key="ed25519:a",sig="xy+/z"',
            "x-matrix origin=a.example, destination=b.example, key=ed25519:a, sig=xy+/z",
            'X-MATRIX  sig="x\\y+/z",Key="ed25519:a"\t, ORIGIN=a.example,destination="b.example"',
            'X-Matrix origin = a.example ,,destination="b.example",key=ed25519:a,sig=xy+/z , ',
            " x-MATRIX\t,origin=a.example,destination=b.example,key=ed25519:a,signature=xy+/z",
            'X-Matrix origin=a.example,destination=b.example,key=ed25519:a,sig=xy+/z,more="a,\\"b"',
        ],
    )
    def test_is_read(self, header: str) -> None:
        assert Authorization.read([header]) == READ

    def test_is_written_as_older_servers_read_it(self) -> None:
        written = 'X-Matrix origin="a.example",destination="b.example",key="ed25519:a",sig="xy+/z"'
        assert READ.headers == (written,)
        assert evolve(READ, destination=None).headers == (
            'X-Matrix origin="a.example",key="ed25519:a",sig="xy+/z"',
        )

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer xyz",
            "X-Matrix",
            "X-Matrix ",
            "X-Matrixorigin=a.example,key=ed25519:a,sig=xyz",
            "X-Matrix origin=a.example,key=ed25519:a",
            "X-Matrix origin=a.example,sig=xyz",
            "X-Matrix key=ed25519:a,sig=xyz",
            "X-Matrix origin=a.example key=ed25519:a sig=xyz",
            "X-Matrix origin=a.example,key=ed25519:a,sig=xyz,sig=xyz",
            "X-Matrix origin=a.example,key=ed25519:a,sig=xyz,ORIGIN=b.example",
            'X-Matrix origin="a.example,key=ed25519:a,sig=xyz',
            'X-Matrix origin="a.example"x,key=ed25519:a,sig=xyz',
            "X-Matrix origin=,key=ed25519:a,sig=xyz",
            'X-Matrix origin="",key=ed25519:a,sig=xyz',
            "X-Matrix origin=not_a_server,key=ed25519:a,sig=xyz",
            "X-Matrix origin=a.example,destination=@,key=ed25519:a,sig=xyz",
            'X-Matrix origin=a.example,key="",sig=xyz',
            'X-Matrix origin=a.example,key="a b",sig=xyz',
            "X-Matrix origin=a.example,key=ed25519:a,sig=xyz," + "x" * LONGEST_HEADER + "=1",
        ],
    )
    def test_of_another_form_is_refused(self, header: str) -> None:
        with pytest.raises(InvalidMessage) as raised:
            Authorization.read([header])
        assert raised.value.where.startswith("Authorization header")

    def test_that_is_absent_is_refused(self) -> None:
        with pytest.raises(InvalidMessage) as raised:
            Authorization.read([])
        assert raised.value == InvalidMessage("Authorization header", "the scheme X-Matrix", None)

    def test_may_be_given_alone(self) -> None:
        header = 'X-Matrix origin=a.example,key="ed25519:1",sig="AAAA"'
        assert Authorization.read(header) == Authorization.read([header])

    @pytest.mark.parametrize("character", ["\n", "\r", " ", "\x00", "é"])
    def test_ends_where_it_should(self, character: str) -> None:
        with pytest.raises(InvalidMessage):
            evolve(READ, signatures=(("ed25519:a", f"x{character}"),))


class TestSeveralHeaders:
    def test_carry_a_signature_each(self) -> None:
        claim = Authorization.of(GET, "b.example", SIGNER_A, SECOND)
        assert len(claim.headers) == 2
        assert Authorization.read(claim.headers) == claim
        assert claim.needs == {"a.example": {SIGNER_A.key_id, "ed25519:2"}}
        assert verified(claim, GET, keys=BOTH) is None

    @pytest.mark.parametrize("keys", [SIGNER_A.key_ring, SECOND.key_ring])
    def test_need_one_known_key(self, keys: KeyRing) -> None:
        claim = Authorization.of(GET, "b.example", SIGNER_A, SECOND)
        assert verified(claim, GET, keys=keys) is None

    def test_with_one_bad_signature_prove_nothing(self) -> None:
        good, other = (
            Authorization.of(request, "b.example", signer)
            for request, signer in ((GET, SECOND), (PUT, SIGNER_A))
        )
        claim = evolve(good, signatures=good.signatures + other.signatures)
        assert verified(claim, GET, keys=BOTH) == NOT_SIGNED

    @pytest.mark.parametrize(
        "other", ["origin=c.example", "origin=a.example,destination=b.example"]
    )
    def test_agree_on_the_servers(self, other: str) -> None:
        headers = [f"X-Matrix {said},key=ed25519:a,sig=x" for said in ("origin=a.example", other)]
        with pytest.raises(InvalidMessage) as raised:
            Authorization.read(headers)
        assert raised.value.expected == "one origin and destination"

    def test_are_few(self) -> None:
        headers = [
            f"X-Matrix origin=a.example,key=ed25519:{n},sig=x" for n in range(MOST_SIGNATURES)
        ]
        assert len(Authorization.read(headers).signatures) == MOST_SIGNATURES
        with pytest.raises(InvalidMessage):
            Authorization.read(f"X-Matrix origin=a.example,key=e:{n},sig=x" for n in iter(int, 1))
        with pytest.raises(InvalidMessage):
            evolve(READ, signatures=READ.signatures * (MOST_SIGNATURES + 1))
        with pytest.raises(InvalidMessage):
            evolve(READ, signatures=())


class TestSigning:
    @pytest.mark.parametrize("signers", [(), (SIGNER_A, SIGNER_B)])
    def test_needs_keys_of_one_server(self, signers: tuple[Signer, ...]) -> None:
        with pytest.raises(InvalidMessage) as raised:
            Authorization.of(GET, "c.example", *signers)
        assert raised.value.expected == "keys of one server"

    def test_needs_a_server_to_ask(self) -> None:
        with pytest.raises(InvalidMessage):
            Authorization.of(GET, "not a server", SIGNER_A)

    def test_needs_a_body_of_json(self) -> None:
        with pytest.raises(InvalidJson):
            Authorization.of(evolve(PUT, body=b"{"), "b.example", SIGNER_A)


@pytest.mark.parametrize("request_", [GET, PUT], ids=["GET", "PUT"])
class TestVerify:
    def test_believes_what_was_signed(self, request_: Request) -> None:
        claim = Authorization.of(request_, "b.example", SIGNER_A)
        assert verified(claim, request_) is None
        assert claim.refusal(server_name="b.example", keys=KEYS, at=0) is None

    def test_believes_an_older_server_that_names_no_destination(self, request_: Request) -> None:
        claim = evolve(Authorization.of(request_, "b.example", SIGNER_A), destination=None)
        assert verified(claim, request_) is None
        assert verified(claim, request_, server_name="c.example") == NOT_SIGNED

    @pytest.mark.parametrize(
        "change",
        [{"method": "POST"}, {"uri": "/_matrix"}, {"uri": "\udcff"}, {"content": {"pdus": [1]}}],
        ids=str,
    )
    def test_believes_nothing_else(self, request_: Request, change: dict[str, Any]) -> None:
        claim = Authorization.of(request_, "b.example", SIGNER_A)
        assert verified(claim, request_, **change) == NOT_SIGNED

    def test_takes_no_body_that_was_not_parsed(self, request_: Request) -> None:
        claim = Authorization.of(request_, "b.example", SIGNER_A)
        with pytest.raises(TypeError, match="expected the parsed body"):
            verified(claim, request_, content=b"{}")

    def test_refuses_a_request_for_another_server(self, request_: Request) -> None:
        claim = Authorization.of(request_, "b.example", SIGNER_A)
        told = unauthorized("the request is for b.example, not for c.example")
        assert verified(claim, request_, server_name="c.example") == told
        assert claim.refusal(server_name="c.example", keys=KEYS, at=0) == told

    def test_refuses_the_signature_of_another_server(self, request_: Request) -> None:
        claim = Authorization.of(request_, "b.example", SIGNER_A)
        stolen = evolve(
            claim, origin="b.example", signatures=((SIGNER_B.key_id, claim.signatures[0][1]),)
        )
        told = unauthorized(f"b.example did not sign this request by {SIGNER_B.key_id}")
        assert verified(stolen, request_) == told

    def test_refuses_a_key_that_is_unknown_or_not_valid_now(self, request_: Request) -> None:
        claim = Authorization.of(request_, "b.example", SIGNER_A)
        assert verified(claim, request_, keys=KeyRing.of({})) == NO_KEY
        known = SIGNER_A.key_ring.servers[A][SIGNER_A.key_id]
        for change in ({"is_expired": True, "valid_until_ts": 9}, {"valid_until_ts": 1}):
            keys = KeyRing({A: {SIGNER_A.key_id: evolve(known, **change)}})
            assert verified(claim, request_, keys=keys, at=2) == NO_KEY


class TestOfSynapse:
    """What a real Synapse sent."""

    @pytest.mark.parametrize("sent", SYNAPSE["requests"], ids=lambda sent: sent["method"])
    def test_is_believed(self, sent: dict[str, Any]) -> None:
        claim = Authorization.read([sent["authorization"]])
        document = SYNAPSE["key_document"]
        at = document["valid_until_ts"] - 1000
        keys = KeyRing.from_documents([document], expected=claim.origin, at=at)
        for destination in (claim.destination, None):
            refusal = evolve(claim, destination=destination).verify(
                sent["method"],
                sent["uri"],
                sent["content"],
                server_name=SYNAPSE["destination"],
                keys=keys,
                at=at,
            )
            assert refusal is None

    @pytest.mark.parametrize("sent", SYNAPSE["requests"], ids=lambda sent: sent["method"])
    def test_has_the_parameters_that_we_send(self, sent: dict[str, Any]) -> None:
        (ours,) = Authorization.read([sent["authorization"]]).headers
        assert sorted(ours[9:].split(",")) == sorted(sent["authorization"][9:].split(","))
