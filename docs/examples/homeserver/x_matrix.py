"""X-Matrix: sign requests to other servers, and check the signatures of theirs.

The signature covers a JSON object that is never sent as such: method, URI, both servers, and
the body. See https://spec.matrix.org/v1.19/server-server-api/#request-authentication
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

from matrix_membership import InvalidJson, KeyRing, Signer
from matrix_membership.server import PublishedKey, Request, is_server_name, sign_json, verify_json

PARAMETER: Final = re.compile(
    r"""\s*([^\s=,"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))\s*(?:,|$)"""
)
LONGEST_HEADER: Final = 2048
"""Characters. Two server names, a key ID and a signature have less than 1,000."""


@attrs.frozen
class Authorization:
    """An `Authorization` header of the scheme X-Matrix."""

    origin: str
    destination: str | None
    key_id: str
    signature: str

    @classmethod
    def parse(cls, header: str) -> Authorization | None:
        """Read a header; None if it has another form.

        A stranger sends it before anything is checked, so it is read once, from left to right, in linear
        time. Text between the parameters makes it invalid.
        """
        scheme, _, parameters = header.partition(" ")
        if scheme.lower() != "x-matrix" or len(header) > LONGEST_HEADER:
            return None
        said: dict[str, str] = {}
        position = 0
        while position < len(parameters):
            found = PARAMETER.match(parameters, position)
            if found is None or found[1].lower() in said:
                return None
            said[found[1].lower()] = found[3] or re.sub(r"\\(.)", r"\1", found[2])
            position = found.end()
        if not {"origin", "key", "sig"} <= said.keys() or not is_server_name(said["origin"]):
            return None
        return cls(said["origin"], said.get("destination"), said["key"], said["sig"])

    def __str__(self) -> str:
        return (
            f'X-Matrix origin="{self.origin}",destination="{self.destination}",'
            f'key="{self.key_id}",sig="{self.signature}"'
        )

    def key(self, keys: KeyRing, destination: str, *, at: int) -> PublishedKey | None:
        """Return the key that must have signed; None if the request cannot be believed.

        Call this before reading the body.

        Args:
            keys: the keys, including those of the asking server.
            destination: our name. A request that was meant for another server is refused.
            at: the time now, in milliseconds since 1970. An expired key proves nothing.
        """
        key = keys.key(self.origin, self.key_id)
        if key is None or key.is_expired or not key.good_at(at):
            return None
        return key if self.destination in (None, destination) else None

    def proves(
        self, keys: KeyRing, destination: str, method: str, uri: str, content: Any, *, at: int
    ) -> bool:
        """Return whether the server that a request names has signed it.

        Args:
            keys: the keys, including those of the asking server.
            destination: our name.
            method: the method of the request.
            uri: path and query as they came, still percent-encoded.
            content: the parsed body; None if it is empty.
            at: the time now, in milliseconds since 1970.
        """
        key = self.key(keys, destination, at=at)
        if key is None:
            return False
        document = _signed(method, uri, self.origin, destination, content)
        document["signatures"] = {self.origin: {self.key_id: self.signature}}
        try:
            return verify_json(document, self.origin, self.key_id, key, at=at)
        except InvalidJson:  # the URI holds bytes that are not text
            return False


def authorize(signer: Signer, destination: str, request: Request) -> Authorization:
    """Sign a request of ours; return its header."""
    document = _signed(
        request.method, request.uri, signer.server_name, destination, request.content
    )
    signature = sign_json(document, signer)["signatures"][signer.server_name][signer.key_id]
    return Authorization(signer.server_name, destination, signer.key_id, signature)


def _signed(method: str, uri: str, origin: str, destination: str, content: Any) -> dict[str, Any]:
    document = {"method": method, "uri": uri, "origin": origin, "destination": destination}
    return document if content is None else {**document, "content": content}
