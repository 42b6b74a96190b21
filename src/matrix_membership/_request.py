"""The HTTP request that a step of this package asks its caller to send."""

from __future__ import annotations

from urllib.parse import urlencode

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, decode


@frozen
class Request:
    """An HTTP request for the caller to send.

    Attributes:
        method: `GET`, `PUT` or `POST`.
        path: the path, percent-encoded.
        query: names and values, in order, not percent-encoded.
        body: the JSON body as bytes; None if the request has no body.

    .. versionadded:: 0.1.0
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def uri(self) -> str:
        """The path and query, in the form that the X-Matrix signature covers."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def content(self) -> JsonValue:
        """The parsed body; None if the request has no body."""
        return None if self.body is None else decode(self.body, strict=False)
