"""Tell whether an event can be sent at all, before any rule is asked.

An event that breaks the format of its room version is dropped by every server, although the
rules would allow it.
"""

from __future__ import annotations

from matrix_membership.canonical_json import encode
from matrix_membership.errors import InvalidJson
from matrix_membership.events import Event
from matrix_membership.events.format import FIELDS, MAX_PDU_BYTES


def objection_to_format(event: Event) -> str:
    """Return why no server would take an event that is to be sent; empty if it fits.

    Cost: linear in the event.
    """
    for name, value in (("type", event.type), ("state_key", event.state_key or "")):
        most = FIELDS[name].most or 0
        if len(value.encode()) > most:
            return f"the {name} has more than the {most} bytes that an event may have there"
    version, content = event.room_version, event.document["content"]
    try:
        size = len(encode(content, strict=version.strict_json))
    except InvalidJson as error:
        return f"an event of room version {version} cannot have this content: {error}"
    if size > MAX_PDU_BYTES:
        return f"the content has {size} bytes, and an event at most {MAX_PDU_BYTES}"
    return ""
