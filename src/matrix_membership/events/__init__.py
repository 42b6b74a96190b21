"""Events: immutable, parsed once, with the evidence of who signed them.

- `Event` keeps the bytes of its PDU and the few facts that rules and states read. It reads
  the rest again when it is asked for, since a homeserver holds millions of events.
- `ReadPdu` is an event just read, with what the next steps of receipt need.
- `EventTemplate` is what a resident server offers to sign. `EventTemplate.complete` makes it
  an event.
"""

from __future__ import annotations

from matrix_membership.events._template import EventTemplate
from matrix_membership.events._template import Signs as Signs
from matrix_membership.events.event import Event
from matrix_membership.events.facts import MEMBER_KINDS as MEMBER_KINDS
from matrix_membership.events.reading import ReadPdu, read_pdu

__all__ = ["Event", "EventTemplate", "ReadPdu", "read_pdu"]
