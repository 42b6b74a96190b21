"""The reason for which a request is refused, in a sentence for its user.

One rejecting rule can have several causes. The sentence names a fact of the room that is true
and that decides: if that fact alone changes, the answer or the sentence changes too. The
error carries the decision, for the server's log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import evolve
from matrix_membership.auth import Decision
from matrix_membership.events import Event
from matrix_membership.fate import unknown_join_rule
from matrix_membership.federation.messages import MatrixError
from matrix_membership.membership import BAN, INVITE, JoinRule
from matrix_membership.state import RoomState

Sentence = Callable[[Event, RoomState], str]


def refused(decision: Decision, event: Event, state: RoomState) -> MatrixError:
    """Return the error for a request whose event a decision rejects in this state.

    Returns:
        403 `M_FORBIDDEN` with the reason. While the room's members are not all known
        and the verdict depends on them: 503 `M_UNKNOWN`.
    """
    # 503 and not 403: once the members are known, the user may well be allowed.
    if decision.undecided:
        return evolve(members_unknown(), decision=decision)
    sentence = _SENTENCES.get(decision.rule)
    told = str(decision) if sentence is None else sentence(event, state)
    return evolve(MatrixError.of("M_FORBIDDEN", told), decision=decision)


def members_unknown() -> MatrixError:
    """Return the error while members are unknown on whom the answer depends."""
    told = "the members of this room are not known yet: try again later"
    return MatrixError("M_UNKNOWN", told, 503)


def _no_join(_: Event, state: RoomState) -> str:
    # The join rule comes first: where no rule knows it, an invite does not help.
    unknown = unknown_join_rule(state)
    if unknown is None and state.join_rule is JoinRule.UNRECOGNISED:  # of a version of one's own
        return "the join rule of this room does not let you in"
    return unknown or "you are not invited to this room"


def _no_condition(_: Event, state: RoomState) -> str:
    if not state.allow:
        return "you are not invited, and this room names no other room whose members may join"
    return "you are not invited, and in none of the rooms whose members may join"


def _no_knocking(_: Event, state: RoomState) -> str:
    return f"room version {state.room_version} has no knocking"


def _target_is_in_the_way(event: Event, state: RoomState) -> str:
    user = event.state_key or ""
    if state.membership_of(user) is BAN:
        return f"{user} is banned from this room"
    return f"{user} is in this room already"


def _knock_is_in_the_way(event: Event, state: RoomState) -> str:
    return {
        BAN: "you are banned from this room",
        INVITE: "you are invited to this room already: join it",
    }.get(state.membership_of(event.sender), "you are in this room already")


def _nothing_to_leave(event: Event, state: RoomState) -> str:
    banned = state.membership_of(event.sender) is BAN
    return "you are banned from this room" if banned else "you are not in this room"


def _too_low_to(verb: str, level: str) -> Sentence:
    # These rules reject for either of two levels: the sender's own is too low for the
    # action, or the target user's is not below it. The user can mend only the first.
    def sentence(event: Event, state: RoomState) -> str:
        own = state.power_level_of(event.sender)
        needed = getattr(state.power_levels, level)
        if own < needed:
            return f"your power level is too low to {verb} users: {own}, and {needed} is needed"
        # Nobody is below themselves, whatever level they get.
        if event.state_key == event.sender:
            return f"you cannot {verb} yourself"
        return f"the power level of {event.state_key} is not below yours"

    return sentence


def _says(text: str) -> Sentence:
    return lambda _event, _state: text


_NOT_IN_ROOM: Final = _says("you are not in this room")
_NOT_FOR_KNOCKING: Final = _says("this room is not set up for knocking")

_SENTENCES: Final[Mapping[str, Sentence]] = MappingProxyType(
    {
        "every_event.sender_from_unfederated_server": _says("this room is closed to other servers"),
        "join.while_banned": _says("you are banned from this room"),
        "join.otherwise": _no_join,
        "join.authoriser_may_not_invite": _no_condition,
        "join.of_another_user": _says("you cannot join for another user"),
        "knock.join_rule_is_not_knock": _NOT_FOR_KNOCKING,
        "knock.join_rule_is_not_knock_or_knock_restricted": _NOT_FOR_KNOCKING,
        "member.unknown_membership": _no_knocking,
        "knock.of_another_user": _says("you cannot knock for another user"),
        "knock.otherwise": _knock_is_in_the_way,
        "invite.sender_not_joined": _NOT_IN_ROOM,
        "invite.target_joined_or_banned": _target_is_in_the_way,
        "invite.otherwise": _too_low_to("invite", "invite"),
        "leave.of_oneself_otherwise": _nothing_to_leave,
        "leave.sender_not_joined": _NOT_IN_ROOM,
        "leave.sender_may_not_unban": _too_low_to("unban", "ban"),
        "leave.otherwise": _too_low_to("remove", "kick"),
        "ban.sender_not_joined": _NOT_IN_ROOM,
        "ban.otherwise": _too_low_to("ban", "ban"),
        "every_event.sender_not_joined": _NOT_IN_ROOM,
        "third_party_invite.otherwise": _too_low_to("invite", "invite"),
    }
)
