"""X-Matrix: a server signs its requests, and the other one checks who asks.

The signature covers a JSON object that is never sent as such: method, URI, both servers, and
the body. See https://spec.matrix.org/v1.19/server-server-api/#request-authentication
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from matrix_membership.federation import Request
from matrix_membership.signing import KeyRing, Signer, sign_json, verify_json

PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')


@attrs.frozen
class Authorization:
    """What an `Authorization` header of the scheme X-Matrix says."""

    origin: str
    destination: str | None
    key_id: str
    signature: str

    @classmethod
    def parse(cls, header: str) -> Authorization | None:
        """Read a header; None when it is of another form."""
        scheme, _, parameters = header.partition(" ")
        if scheme.lower() != "x-matrix":
            return None
        said = {
            name.lower(): bare or re.sub(r"\\(.)", r"\1", quoted)
            for name, quoted, bare in PARAMETER.findall(parameters)
        }
        if not {"origin", "key", "sig"} <= said.keys():
            return None
        return cls(said["origin"], said.get("destination"), said["key"], said["sig"])

    def __str__(self) -> str:
        return (
            f'X-Matrix origin="{self.origin}",destination="{self.destination}",'
            f'key="{self.key_id}",sig="{self.signature}"'
        )

    def proves(
        self, keys: KeyRing, destination: str, method: str, uri: str, content: Any, *, at: int
    ) -> bool:
        """Whether a request that reached us is from the server that it names.

        Args:
            keys: keys, that server's among them.
            destination: our name. A request that was meant for another server is none for us.
            method: the method of the request.
            uri: path and query as they came, still percent-encoded.
            content: the parsed body; None when there is none.
            at: the time now, in milliseconds since 1970: the key must be valid then.
        """
        key = keys.key(self.origin, self.key_id)
        if key is None or self.destination not in (None, destination):
            return False
        document = _signed(method, uri, self.origin, destination, content)
        document["signatures"] = {self.origin: {self.key_id: self.signature}}
        return verify_json(document, self.origin, self.key_id, key, at=at)


def authorize(signer: Signer, destination: str, request: Request) -> Authorization:
    """What to say with a request of ours."""
    document = _signed(
        request.method, request.uri, signer.server_name, destination, request.content
    )
    signature = sign_json(document, signer)["signatures"][signer.server_name][signer.key_id]
    return Authorization(signer.server_name, destination, signer.key_id, signature)


def _signed(method: str, uri: str, origin: str, destination: str, content: Any) -> dict[str, Any]:
    document = {"method": method, "uri": uri, "origin": origin, "destination": destination}
    return document if content is None else {**document, "content": content}
