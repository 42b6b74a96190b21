"""Event templates: what a resident server offers to sign.

Only `EventTemplate.complete` makes an event of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.errors import InvalidEvent, InvalidJson
from matrix_membership.events.event import Event
from matrix_membership.events.reading import read_pdu
from matrix_membership.hashing import content_hash
from matrix_membership.identifiers import ServerName
from matrix_membership.room_versions import RoomVersion, require_room_version

__all__ = ["EventTemplate", "Signs"]


@frozen
class EventTemplate:
    """A proto-event that a resident server offers: without ID, hashes and signatures.

    Attributes:
        room_version: the version of its room.
        fields: the fields of the future PDU.

    .. versionadded:: 0.1.0
    """

    room_version: RoomVersion
    fields: JsonObject

    def __attrs_post_init__(self) -> None:
        require_room_version(self.room_version)

    @classmethod
    def of(cls, fields: Mapping[str, JsonValue], room_version: RoomVersion) -> EventTemplate:
        """Make a template from fields, leaving out those that only an event has.

        Args:
            fields: fields of a PDU. `hashes`, `signatures`, `unsigned`, and from
                version 3 on `event_id`, are dropped.
            room_version: the version of the room.

        Raises:
            InvalidEvent: the fields are not an object of JSON values.

        >>> from matrix_membership.room_versions import V11
        >>> EventTemplate.of({"type": "m.room.member", "hashes": {}}, V11).fields
        {'type': 'm.room.member'}
        """
        require_room_version(room_version)
        if not isinstance(fields, Mapping):
            raise InvalidEvent("template", "an object", fields)
        # Another server made the template. Hashes, signatures or, from version 3 on, an ID in it
        # would be its word for an event that this server signs.
        dropped = (
            _NOT_IN_TEMPLATE if room_version.event_id_in_pdu else _NOT_IN_TEMPLATE | {"event_id"}
        )
        try:
            kept = freeze({key: value for key, value in fields.items() if key not in dropped})
        except InvalidJson as error:
            raise InvalidEvent("template", "JSON values", str(error)) from error
        return cls(room_version, kept)

    def get(self, field: str) -> JsonValue:
        """Return a field of the template; None when it is missing."""
        return self.fields.get(field)

    @property
    def content(self) -> Mapping[str, JsonValue]:
        """The content; empty when it is missing."""
        content = self.fields.get("content")
        return content if isinstance(content, Mapping) else JsonObject()

    def with_fields(self, **fields: JsonValue) -> EventTemplate:
        """Return the template with these fields set.

        Raises:
            InvalidJson: JSON cannot hold a value.
        """
        return evolve(self, fields=freeze({**self.fields, **fields}))

    def with_content(self, **fields: JsonValue) -> EventTemplate:
        """Return the template with these fields of its content set.

        Raises:
            InvalidJson: JSON cannot hold a value.
        """
        return self.with_fields(content={**self.content, **fields})

    def complete(self, signer: Signs, *, event_id: str | None = None) -> Event:
        """Hash and sign the template, which makes it an event.

        Args:
            signer: who signs; `signing.Signer` is one.
            event_id: in room versions 1 and 2, the ID that it shall have; later
                versions make it from the event.

        Returns:
            The event, signed by the signer's server.

        Raises:
            InvalidEvent: the fields break the format of the room version.
        """
        # The content hash comes first, since the signature covers it. The PDU is read in between,
        # so that a template of a wrong format is never signed.
        pdu = {**self.fields, "signatures": {}}
        if self.room_version.event_id_in_pdu and event_id is not None:
            pdu["event_id"] = event_id
        pdu["hashes"] = {"sha256": content_hash(pdu)}
        unsigned = read_pdu(pdu, self.room_version)
        pdu["signatures"] = {
            signer.server_name: {signer.key_id: signer.signature_over(unsigned.covered)}
        }
        # The ID of the unsigned event serves: neither hash covers signatures.
        event = Event.from_pdu(pdu, self.room_version, event_id=unsigned.event.event_id)
        return event.with_signers([signer.server_name])


# A protocol, not `signing.Signer`: a private key can stay in another process or a hardware module.
# And `events` is the layer below `signing`.
class Signs(Protocol):
    """A signer for a server."""

    @property
    def server_name(self) -> ServerName:
        """The server that signs."""

    @property
    def key_id(self) -> str:
        """The ID of its key: `ed25519:` and a version."""

    def signature_over(self, message: bytes) -> str:
        """Return the signature in unpadded base64."""


_NOT_IN_TEMPLATE: Final = frozenset({"hashes", "signatures", "unsigned"})
