"""Laws of signed requests: what was signed is believed, and nothing else."""

from __future__ import annotations

from typing import Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matrix_membership import strategies
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation.messages import Request
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.identifiers import ServerName
from matrix_membership.strategies import signer_of
from matrix_membership.strategies._json import json_objects

METHODS: Final = st.sampled_from(["GET", "PUT", "POST", "DELETE"])
PATHS: Final = st.text(st.characters(codec="ascii", exclude_characters="?#"), max_size=20)
CONTENTS: Final = st.none() | json_objects(floats=True)
VISIBLE: Final = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=50
)


@st.composite
def authorizations(draw: st.DrawFn) -> Authorization:
    """Any header that can be written, with whatever signatures."""
    origin, destination = draw(strategies.server_names()), draw(strategies.server_names())
    signatures = draw(st.lists(st.tuples(VISIBLE, VISIBLE), min_size=1, max_size=4))
    return Authorization(origin, draw(st.sampled_from([None, destination])), tuple(signatures))


@settings(max_examples=100)
@given(authorizations())
def test_a_header_survives_being_written(authorization: Authorization) -> None:
    assert Authorization.read(authorization.headers) == authorization


@settings(max_examples=200)
@given(st.text(max_size=60).map("X-Matrix ".__add__) | st.text(max_size=60))
def test_any_header_is_read_or_refused(header: str) -> None:
    try:
        read = Authorization.read([header])
    except InvalidMessage:
        return
    assert Authorization.read(read.headers) == read


@settings(max_examples=100)
@given(
    signed=st.tuples(
        METHODS, PATHS, CONTENTS, strategies.server_names(), strategies.server_names()
    ),
    other=st.tuples(METHODS, PATHS, CONTENTS, strategies.server_names(), strategies.server_names()),
    changed=st.sets(st.integers(0, 4)),
)
def test_a_request_is_believed_until_any_part_of_it_changes(
    signed: tuple[str, str, JsonValue, str, str],
    other: tuple[str, str, JsonValue, str, str],
    changed: set[int],
) -> None:
    came = tuple(other[at] if at in changed else part for at, part in enumerate(signed))
    same = all(
        encode(came[at], strict=False) == encode(signed[at], strict=False) for at in range(5)
    )
    assume(same or changed)
    method, path, content, origin, destination = signed
    body = None if content is None else encode(content, strict=False)
    signer = signer_of(origin)
    claim = Authorization.of(Request(method, path, (), body), destination, signer)
    method, path, content, origin, destination = came
    claim = Authorization(ServerName(origin), None, claim.signatures)
    keys = signer_of(origin).key_ring.with_keys(signer.key_ring)
    refusal = claim.verify(method, path, content, server_name=destination, keys=keys, at=0)
    assert (refusal is None) == same
