"""Writing drawn values as Python that rebuilds them with public names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, encode, read, thaw
from matrix_membership.events import Event
from matrix_membership.room_versions import KNOWN, RoomVersion

_USUAL: Final = (
    *("auth_events", "depth", "hashes", "origin_server_ts", "prev_events"),
    *("room_id", "signatures"),
)


@frozen
class Writer:
    """Writes events of one room as expressions.

    Attributes:
        room_version: the version of the room.
        usual: the most frequent values of some fields, written once for all events.
    """

    room_version: RoomVersion
    usual: Mapping[str, JsonValue]

    @classmethod
    def of(cls, room_version: RoomVersion, events: Iterable[Event]) -> Writer:
        """Return a writer that finds the usual fields in these events."""
        documents = [event.document for event in events if event.pdu]
        usual: dict[str, JsonValue] = {}
        for key in _USUAL:
            # The fields that most events share are written once, so that a reader sees those that
            # differ.
            values = Counter(encode(document.get(key), strict=False) for document in documents)
            for value, count in values.most_common(1):
                if count > 1 and value != b"null":
                    usual[key] = read(value, strict=False)[0]
        return cls(room_version, usual)

    def opening(self, *imports: str) -> list[str]:
        """Return the imports and the names that the expressions use."""
        version, base = self._versions
        names = sorted(
            {base, *imports}, key=lambda name: (not name.isupper(), name.islower(), name)
        )
        lines = [f"from matrix_membership import {', '.join(names)}", ""]
        if version != base:
            made = f"{base}.evolve(identifier={self.room_version.identifier!r})"
            lines.append(f"{version} = {made}  # and whatever else it changes")
        if self.usual:
            lines.append(f"usual = {self.usual!r}")
        return lines

    @property
    def version(self) -> str:
        """The name of the room version."""
        return self._versions[0]

    def event(self, event: Event) -> str:
        """Return an expression that rebuilds the event."""
        signers = sorted(event.signed_by)
        evidence = f".with_signers({signers!r})" if signers else ""
        return self._unsigned(event) + evidence

    def list_of(self, events: Iterable[Event]) -> list[str]:
        """Return the lines of a list of events, without its brackets."""
        return [f"    {self.event(event)}," for event in events]

    def _unsigned(self, event: Event) -> str:
        if event.host_form is not None:
            return f"Event.accepted({thaw(event.document)!r}, {self.version})"
        if not event.pdu:
            said, _ = read(event.client_form, strict=False)
            return f"Event.from_client_event({said!r}, {self.version})"
        return f"Event.from_pdu({self._pdu(event)}, {self.version}{self._named(event)})"

    def _pdu(self, event: Event) -> str:
        document, has_float = read(event.pdu, strict=False)
        if has_float:
            # The hash covers the text of a float, which `repr` of a document may change.
            return repr(event.pdu)
        shared = [key for key, value in self.usual.items() if document.get(key) == value]
        if len(shared) < len(self.usual):
            return repr(document)
        own = {key: value for key, value in document.items() if key not in shared}
        return f"usual | {own!r}" if shared else repr(own)

    def _named(self, event: Event) -> str:
        """Return the argument for an event ID that is not the one of the PDU."""
        if Event.from_pdu(event.pdu, event.room_version) == event:
            return ""
        return f", event_id={event.event_id!r}"

    @property
    def _versions(self) -> tuple[str, str]:
        """The names of the version and of the version that it was evolved from."""
        version = self.room_version
        if KNOWN.get(version.identifier) is version:
            return f"V{version}", f"V{version}"
        # A version of one's own has no name that a script could import.
        return "MINE", f"V{version.auth_rules}"
