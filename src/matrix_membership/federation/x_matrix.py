"""X-Matrix: sign requests to other servers, and verify the signatures of theirs.

The signature covers an object that is never sent as such: the method, the URI, both servers
and the parsed body. The `Authorization` header carries the rest: who signed, by which key. See
`Request authentication`__.

1. The asking server makes an `Authorization` of its request, and sends its `headers`.
2. The server that is asked reads them: `Authorization.read`.
3. It fetches the keys of `needs`, and asks for a `refusal` before it reads the body.
4. It reads the body and calls `verify`.

__ https://spec.matrix.org/v1.19/server-server-api/#request-authentication
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.federation.messages import MatrixError, Request
from matrix_membership.identifiers import ServerName, is_server_name
from matrix_membership.signing import KeyRing, PublishedKey, Signer, sign_json, verify_json

__all__ = ["Authorization"]

LONGEST_HEADER: Final = 2048
"""Characters of one header. Two server names, a key ID and a signature have less than 1,000."""

MOST_SIGNATURES: Final = 4
"""Signatures of one request. Each may cost a verification, and anybody can send them."""

_WHERE: Final = "Authorization header"
_SCHEME: Final = re.compile(r"[ \t]*x-matrix[ \t][ \t,]*", re.IGNORECASE)
# Read once, from left to right: the possessive quantifiers never go back over what they took, so
# a header that fits nowhere costs one pass. Older servers leave values such as `a.example:8448`
# unquoted, so an unquoted value may hold all but spaces, commas and quotation marks.
_PARAMETER: Final = re.compile(
    r"""
    ([!\#$%&'*+\-.^_`|~0-9A-Za-z]++) [ \t]*+ = [ \t]*+
    (?: "( (?: [^"\\] | \\. )*+ )" | ([^\s,"\\]++) )
    [ \t]*+ (?: ,[ \t,]*+ | $ )
    """,
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)")
_TO_ESCAPE: Final = re.compile(r'(["\\])')
_VISIBLE: Final = re.compile(r"[!-~]{1,512}")
_SIGNATURE: Final = ("sig", "signature")
"""The specification's list calls it `signature`. Its examples and all servers say `sig`."""


@frozen
class Authorization:
    """The signatures of one server over a request, as headers carry them.

    Attributes:
        origin: the server that asks.
        destination: the server that is asked; None if an older server left it out.
        signatures: pairs of a key ID and a signature, at least one.

    Raises:
        InvalidMessage: a server name breaks its grammar, or another value cannot be written
            into a header.

    .. versionadded:: 0.1.0
    """

    origin: ServerName
    destination: ServerName | None
    signatures: tuple[tuple[str, str], ...]

    def __attrs_post_init__(self) -> None:
        for what, name in (("origin", self.origin), ("destination", self.destination)):
            if not (is_server_name(name) or (name is None and what == "destination")):
                raise InvalidMessage(f"{_WHERE}: {what}", "a server name", name)
        if not 0 < len(self.signatures) <= MOST_SIGNATURES:
            expected = f"1 to {MOST_SIGNATURES} signatures"
            raise InvalidMessage(_WHERE, expected, len(self.signatures))
        for pair in self.signatures:
            for what, value in zip(("key", "sig"), pair, strict=True):
                # A line break would end the header, and begin another one.
                if not _VISIBLE.fullmatch(value):
                    raise InvalidMessage(f"{_WHERE}: {what}", "visible ASCII characters", value)

    @classmethod
    def of(cls, request: Request, destination: str, *signers: Signer) -> Authorization:
        """Sign a request by the keys of the asking server, usually one.

        The destination is the name of the server that is asked, before delegation.

        Returns:
            The authorization, to be sent as `headers`. Cost: one encoding of the body and one
            signature for each key.

        Raises:
            InvalidMessage: the destination is not a server name, the keys are of several
                servers, or there are none or too many.
            InvalidJson: the body of the request is not JSON.

        >>> from matrix_membership.signing import Signer
        >>> signer = Signer.from_seed("a.example", "ed25519:1", "A" * 43)
        >>> request = Request("GET", "/_matrix/federation/v1/version")
        >>> print(Authorization.of(request, "b.example", signer).headers[0][:57])
        X-Matrix origin="a.example",destination="b.example",key="
        """
        origins = {signer.server_name for signer in signers}
        if len(origins) != 1:
            raise InvalidMessage(_WHERE, "keys of one server", sorted(origins))
        (origin,) = origins
        document = _signed(request.method, request.uri, origin, destination, request.content)
        signed = [
            (signer.key_id, sign_json(document, signer)["signatures"][origin][signer.key_id])
            for signer in signers
        ]
        return cls(origin, ServerName(destination), tuple(signed))

    @classmethod
    def read(cls, headers: Iterable[str] | str) -> Authorization:
        """Read the values of all `Authorization` headers of a request, or of the one.

        Servers that sign by several keys send several headers. Anybody can send them, so this
        is bounded: `LONGEST_HEADER` characters each, and `MOST_SIGNATURES` of them. Unknown
        parameters are ignored.

        Returns:
            The authorization; nothing of it is verified yet. Cost: linear in the headers.

        Raises:
            InvalidMessage: a header is of another scheme or form, names a parameter twice, or
                contradicts another header.

        >>> header = 'X-Matrix origin=a.example,key="ed25519:1",sig="AAAA"'
        >>> Authorization.read([header]).signatures
        (('ed25519:1', 'AAAA'),)
        """
        said: list[dict[str, str]] = []
        # Text is iterable: read by its characters, it would be an unknown scheme.
        for header in [headers] if isinstance(headers, str) else headers:
            if len(said) == MOST_SIGNATURES:
                raise InvalidMessage(_WHERE, f"at most {MOST_SIGNATURES}", "more")
            said.append(dict(_parameters(header)))
        if not said:
            raise InvalidMessage(_WHERE, "the scheme X-Matrix", None)
        # A request has one origin. If headers may disagree, two servers can believe different ones.
        servers = {(found.get("origin"), found.get("destination")) for found in said}
        if len(servers) != 1:
            raise InvalidMessage(_WHERE, "one origin and destination", f"{len(servers)} of them")
        first = said[0]
        destination = first.get("destination")
        return cls(
            ServerName(_value(first, "origin")),
            None if destination is None else ServerName(destination),
            tuple((_value(found, "key"), _value(found, *_SIGNATURE)) for found in said),
        )

    @property
    def headers(self) -> tuple[str, ...]:
        """The values of the `Authorization` headers to send, one for each signature.

        Everything is quoted, in the order of the specification's example, without spaces: older
        servers can read nothing else.
        """
        to = "" if self.destination is None else f",destination={_quoted(self.destination)}"
        return tuple(
            f"X-Matrix origin={_quoted(self.origin)}{to},key={_quoted(key_id)},sig={_quoted(text)}"
            for key_id, text in self.signatures
        )

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys that verify the request: key IDs by server."""
        return {self.origin: frozenset(key_id for key_id, _ in self.signatures)}

    def refusal(self, *, server_name: str, keys: KeyRing, at: int) -> MatrixError | None:
        """Return the error for a request that no body could make credible.

        Ask before reading the body, so that strangers cannot make this server read much.

        Args:
            server_name: this server. A request for another one is refused.
            keys: the known keys.
            at: the time now, in milliseconds since 1970. An expired key proves nothing.

        Returns:
            401 `M_UNAUTHORIZED`; None if the body is to be read. Cost: constant.
        """
        if self.destination not in (None, server_name):
            return _unauthorized(f"the request is for {self.destination}, not for {server_name}")
        if not self._usable(keys, at):
            return _unauthorized(f"no key of {self.origin} is known that is good now")
        return None

    def verify(
        self,
        method: str,
        uri: str,
        content: JsonValue,
        *,
        server_name: str,
        keys: KeyRing,
        at: int,
    ) -> MatrixError | None:
        """Verify that the origin has signed a request.

        `uri` is the path and query as they came, still percent-encoded, and `content` the parsed
        body, None without one. The other arguments are those of `refusal`.

        Returns:
            None if the request is by `origin`: at least one signature is by a known key, and
            all such signatures are good. Otherwise 401 `M_UNAUTHORIZED`. Cost: for each known
            key, one encoding of the content and one Ed25519 verification.

        Raises:
            TypeError: the content is a body that was not parsed.
        """
        if isinstance(content, bytes | bytearray | memoryview):
            # No signature covers bytes, so every request would be told to be a forgery.
            raise TypeError("content: expected the parsed body, got its bytes")
        refusal = self.refusal(server_name=server_name, keys=keys, at=at)
        if refusal is not None:
            return refusal
        # The origin signed a destination, even if an older server does not repeat it.
        document = _signed(method, uri, self.origin, server_name, content)
        # As in Synapse: one by a known key is needed, and all by known keys must be good.
        for key, key_id, signature in self._usable(keys, at):
            signed = {**document, "signatures": {self.origin: {key_id: signature}}}
            try:
                good = verify_json(signed, self.origin, key_id, key, at=at)
            except InvalidJson:  # half of a surrogate pair, as from bytes that are not text
                good = False
            if not good:
                return _unauthorized(f"{self.origin} did not sign this request by {key_id}")
        return None

    def _usable(self, keys: KeyRing, at: int) -> list[tuple[PublishedKey, str, str]]:
        """Return the signatures by keys that are known and valid, with these keys."""
        found = [(keys.key(self.origin, key_id), key_id, text) for key_id, text in self.signatures]
        return [
            (key, key_id, text)
            for key, key_id, text in found
            # An expired key still verifies the events of its time. A request is made now.
            if key is not None and not key.is_expired and key.good_at(at)
        ]


def _signed(
    method: str, uri: str, origin: str, destination: str, content: JsonValue
) -> dict[str, JsonValue]:
    """Return the object that the signature covers."""
    document: dict[str, JsonValue] = {
        "method": method,
        "uri": uri,
        "origin": origin,
        "destination": destination,
    }
    # Left out, not null: the canonical JSON of the two differs, and with it the signature.
    return document if content is None else {**document, "content": content}


def _parameters(header: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a header, their names in lower case."""
    scheme = _SCHEME.match(header)
    if scheme is None or len(header) > LONGEST_HEADER:
        expected = f"the scheme X-Matrix, and at most {LONGEST_HEADER} characters"
        raise InvalidMessage(_WHERE, expected, header)
    seen: set[str] = set()
    position = scheme.end()
    while position < len(header):
        found = _PARAMETER.match(header, position)
        if found is None:
            raise InvalidMessage(_WHERE, "name=value", header[position:])
        name = found[1].lower()
        # Two servers that read a different one of them would believe different requests.
        if name in seen:
            raise InvalidMessage(_WHERE, "each parameter once", name)
        seen.add(name)
        yield name, found[3] if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        position = found.end()


def _value(said: dict[str, str], *names: str) -> str:
    """Return the value of a parameter that has to be there."""
    for name in names:
        if name in said:
            return said[name]
    raise InvalidMessage(_WHERE, f"the parameter {names[0]}", sorted(said))


def _quoted(value: str) -> str:
    escaped = _TO_ESCAPE.sub(r"\\\1", value)
    return f'"{escaped}"'


def _unauthorized(sentence: str) -> MatrixError:
    return MatrixError.of("M_UNAUTHORIZED", sentence)
