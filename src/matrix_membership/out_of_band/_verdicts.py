"""The verdicts on an event of an out-of-band membership, and their reasons."""

from __future__ import annotations

from matrix_membership._attrs import Word


# In a room that it is not in, Synapse takes the withdrawal of an invite, and ignores a ban after an
# invite and a leave or a ban after a knock. `LIKELY` lets a server tell its user what probably
# happened, without ending what it cannot judge.
class Verdict(Word):
    """The verdict on an event of an out-of-band membership.

    - `ACCEPTED`: a new invite or knock, or an event by the sender of what it replaces: the
      invite's sender withdraws it, the user rejects it or retracts the knock.
    - `LIKELY`: by another user whose server was seen in the room, and nothing at hand forbids
      it. The membership stays, and `OutOfBand.likely` says what it probably is.
    - `UNKNOWN`: nothing at hand can judge it; the membership stays.
    - `IGNORED`: it is void in every state of the room.

    .. versionadded:: 0.1.0
    """

    ACCEPTED = "accepted"
    LIKELY = "likely"
    UNKNOWN = "unknown"
    IGNORED = "ignored"


class Reason(Word):
    """The reason for a verdict on an event of an out-of-band membership.

    .. versionadded:: 0.1.0
    """

    NEW_INVITE = "a new invite"
    NEW_KNOCK = "the user knocks"
    BY_THE_USER = "the user leaves"
    BY_THE_SAME_SENDER = "by the sender of what it replaces"
    POWER_SEEN = "the power levels at hand allow it, if they still hold and the sender is joined"
    POWER_UNSEEN = "the sender's server is in the room; no power levels are at hand"
    POWER_LACKING = "the power levels at hand do not allow it, but may be out of date"
    SENDER_NOT_JOINED = "the sender was not joined, as far as is known, but may be by now"
    SERVER_UNSEEN = "the sender's server is not known to be in the room"
    REPLACES_ANOTHER = "it replaces a membership event that is not at hand"
    ELSEWHERE = "it is about another room or user, or no membership event of a known kind"
    # Servers repeat requests that were not answered, so these two are usual.
    HELD_ALREADY = "it is at hand already"
    REPLACED = "it was replaced before"
    # A new invite is refused, and those that are held stay: if the oldest went, strangers could
    # push the real invite out.
    TOO_MANY = "the limit of held invites is reached, all of other servers"
    UNSIGNED = "it lacks a required signature"
    WRONG_SENDER = "no user can send this about that user"
    NO_SUCH_MOVE = "this membership cannot come after the one held"
