"""The exceptions of this package.

::

    MatrixMembershipError
    ├── InvalidJson            (ValueError)  text that is not JSON, or not canonical where it must be
    ├── InvalidIdentifier      (ValueError)  a user, room, event or server name of a wrong form
    ├── InvalidEvent           (ValueError)  a PDU of a wrong form: it is to be dropped
    ├── InvalidMessage         (ValueError)  a request or an answer of a wrong form
    ├── InvalidKey             (ValueError)  a signing key or a key document of a wrong form
    ├── InvalidRulebook        (ValueError)  an amendment that does not fit the rules
    ├── UnknownRoomVersion     (ValueError)  a room version that the caller does not know
    ├── IncompleteState        (LookupError) a question that needs more state than is at hand
    │   └── MissingEvents                    state events that a store has not loaded yet
    └── ProtocolError
        ├── LocalProtocolError               this side did something out of turn
        └── RemoteProtocolError              the other side did; has `errcode` and `status`

The authorisation rules raise nothing when they reject an event: they return a
:class:`~matrix_membership.auth.Decision`.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "IncompleteState",
    "InvalidEvent",
    "InvalidIdentifier",
    "InvalidJson",
    "InvalidKey",
    "InvalidMessage",
    "InvalidRulebook",
    "LocalProtocolError",
    "MatrixMembershipError",
    "MissingEvents",
    "RemoteProtocolError",
    "UnknownRoomVersion",
]

_SHOWN = 120
"""Characters of a wrong value that a message shows."""

_SAID = 400
"""Characters that a message says of a place, or of what was expected there."""


class MatrixMembershipError(Exception):
    """The root of the tree. Errors of one class with equal fields are equal.

    .. versionadded:: 0.1.0
    """

    def __eq__(self, other: object) -> bool:
        if self.__class__ is not other.__class__:
            return NotImplemented
        return self.args == other.args

    def __hash__(self) -> int:
        # By the fields that are text: others may have no hash, and equal ones may be written in
        # another way (1 and 1.0, or the keys of an object in another order).
        texts = [field if isinstance(field, str) else None for field in self.args]
        return hash((self.__class__, *texts))

    # Errors are logged, and other servers send values of any size.
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(shown, self.args))})"

    def __str__(self) -> str:
        return shown(self.args)


class _Mismatch(MatrixMembershipError, ValueError):
    """Something else was expected where `where` says.

    Attributes:
        where: the place, as a dotted path (`content.users`), or what it is.
        expected: what was expected there.
        got: the value that came.
    """

    def __init__(self, where: str, expected: str, got: object = None) -> None:
        super().__init__(where, expected, got)
        self.where = where
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"{_cut(self.where)}: expected {_cut(self.expected)}, got {shown(self.got)}"


class InvalidJson(_Mismatch):
    """Text that breaks JSON, or a value that JSON or canonical JSON cannot hold.

    .. versionadded:: 0.1.0
    """


class InvalidIdentifier(_Mismatch):
    """A user, room, event or server name that breaks its grammar.

    .. versionadded:: 0.1.0
    """


class InvalidEvent(_Mismatch):
    """A PDU that breaks its room version's event format. It is to be dropped.

    .. versionadded:: 0.1.0
    """


class InvalidMessage(_Mismatch):
    """A request or an answer that breaks the form of its endpoint.

    .. versionadded:: 0.1.0
    """


class InvalidKey(_Mismatch):
    """A signing key, a verify key or a key document of a wrong form.

    .. versionadded:: 0.1.0
    """


class InvalidRulebook(_Mismatch):
    """An amendment of rules that names no rule, or has a number that does not fit.

    .. versionadded:: 0.1.0
    """


class UnknownRoomVersion(MatrixMembershipError, ValueError):
    """A room version that is not among those that the caller knows.

    Attributes:
        identifier: the version that was named, whatever it is.

    .. versionadded:: 0.1.0
    """

    def __init__(self, identifier: object) -> None:
        super().__init__(identifier)
        self.identifier = identifier

    def __str__(self) -> str:
        return f"room version: expected one that is known here, got {shown(self.identifier)}"


class IncompleteState(MatrixMembershipError, LookupError):
    """A question about the whole room, asked of a state that holds a part of it.

    Attributes:
        question: what was asked.
        missing: what the state would need to answer.

    .. versionadded:: 0.1.0
    """

    def __init__(self, question: str, missing: str) -> None:
        super().__init__(question, missing)
        self.question = question
        self.missing = missing

    def __str__(self) -> str:
        return f"{_cut(self.question)}: expected {_cut(self.missing)}, which the state leaves out"


FILTERED_OUT: Final = "a place that was filtered out of the state"
"""The question of an `IncompleteState` about a place that nobody looked up."""


class MissingEvents(IncompleteState):
    """State events that `RoomState.of_ids` was not given.

    Fetch them all, and make the state again.

    Attributes:
        event_ids: the IDs of all that are missing.

    .. versionadded:: 0.1.0
    """

    def __init__(self, event_ids: tuple[str, ...]) -> None:
        super().__init__("the events of a state", ", ".join(event_ids))
        self.event_ids = event_ids

    def __reduce__(self) -> tuple[type[MissingEvents], tuple[tuple[str, ...]]]:
        return type(self), (self.event_ids,)


class ProtocolError(MatrixMembershipError):
    """A step out of turn.

    Attributes:
        expected: what could have come at this point.
        got: what came.
    """

    def __init__(self, expected: str, got: object, *more: object) -> None:
        super().__init__(expected, got, *more)
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"expected {_cut(self.expected)}, got {shown(self.got)}"


class LocalProtocolError(ProtocolError):
    """This side did something that the protocol does not allow now.

    .. versionadded:: 0.1.0
    """


class RemoteProtocolError(ProtocolError):
    """The other side sent something that the protocol does not allow.

    Attributes:
        errcode: the Matrix error code with which to answer, if an answer is due.
        status: the HTTP status that goes with it.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self, expected: str, got: object, errcode: str = "M_INVALID_PARAM", status: int = 400
    ) -> None:
        super().__init__(expected, got, errcode, status)
        self.errcode = errcode
        self.status = status


def _cut(text: str) -> str:
    """Cut a text of this package, which may quote a name of any length that came."""
    return text if len(text) <= _SAID else text[: _SAID - 1] + "…"


def shown(value: object) -> str:
    """Show a value as an error message does: its `repr`, cut to a line.

    Args:
        value: anything; a value whose `repr` fails is named by its class.

    Returns:
        At most 120 characters.
    """
    # Cut before its `repr` is made, which would be as long again: another server chose the text.
    if isinstance(value, (str, bytes)):
        value = value[: _SHOWN + 1]
    try:
        text = repr(value)
    # An error about a value must not fail on that value: one that is nested too deep, an integer of
    # too many digits, an object of a caller's own.
    except Exception:  # noqa: BLE001 - a caller's class raises anything
        text = f"a value of {type(value).__name__} that cannot be shown"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
