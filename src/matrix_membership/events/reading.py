"""Reading many PDUs: the names of the reader that signing, the rules and the audit of an answer need.

Only the names in `__all__` are public. The others are shared inside this package: `Facts`, for one, is
an event that is still being filled in.
"""

from __future__ import annotations

from matrix_membership.events import ReadPdu, read_pdu, references
from matrix_membership.events._fast_read import KnownNames as KnownNames
from matrix_membership.events._fast_read import is_usual as is_usual
from matrix_membership.events._fast_read import scan_usual as scan_usual
from matrix_membership.events._fast_write import USUAL as USUAL
from matrix_membership.events._fast_write import both_bytes as both_bytes
from matrix_membership.events._fast_write import document_of as document_of
from matrix_membership.events._fields import MESSAGE as MESSAGE
from matrix_membership.events._fields import NOBODY as NOBODY
from matrix_membership.events._fields import Case as Case
from matrix_membership.events._fields import Facts as Facts
from matrix_membership.events._fields import case_of as case_of
from matrix_membership.events._parse import read_whole as read_whole
from matrix_membership.events._parse import whole_of as whole_of

__all__ = ["ReadPdu", "read_pdu", "references"]
