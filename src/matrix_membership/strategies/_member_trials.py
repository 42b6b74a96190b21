"""Trials of memberships, one function for each chapter of the member rules."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from matrix_membership.identifiers import server_of
from matrix_membership.strategies._fields import (
    membership_fields,
    signed_invite,
    signer_of,
    stored_invite,
)
from matrix_membership.strategies._json import Fields
from matrix_membership.strategies._trials import (
    ANA,
    CLEO,
    DAN,
    JOIN_RULES,
    MAYBE,
    MEMBERSHIPS,
    Sketch,
    Trial,
    with_join_rule,
    with_levels,
)

# More often the one that versions 8 and 9 know too.
_RESTRICTED: Final = st.sampled_from(("restricted", "restricted", "knock_restricted"))


def join(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """A user joins a room that is not restricted."""
    event = membership_fields(ben, ben, "join")
    match reason:
        # Left to chance, a creator who returns came up hardly ever, and an engine that lets every
        # creator back in passed.
        case "first" | "returned":
            first = reason == "first"
            if not first:
                room = room.with_(JOIN_RULES, {"join_rule": "invite"})
            room = room.with_member(ANA, None if first else draw(_GONE))
            return Trial(room, membership_fields(ANA, ANA, "join"), follows_create=first)
        case "of another":
            return Trial(room, membership_fields(ANA, ben, "join"))
        case "banned":
            return Trial(room.with_member(ben, "ban"), event)
        case "invited":
            rule = draw(st.sampled_from(("invite", "invite", "knock")))
            room = room.with_member(ben, draw(st.sampled_from(("invite", "join"))))
            return Trial(room.with_(JOIN_RULES, {"join_rule": rule}), event)
        case "public":
            room = room.with_(JOIN_RULES, {"join_rule": "public"})
            return Trial(room.with_member(ben, draw(_NOT_BANNED)), event)
        case _:
            # The specification reserves `private` without a meaning: it lets nobody in, as does a
            # word that no version knows.
            return Trial(with_join_rule(draw, room, _CLOSED).with_member(ben, None), event)


_CLOSED: Final = st.sampled_from(("invite", "knock", "private", "odd"))
_GONE: Final = st.sampled_from(("leave", None))
_NOT_BANNED: Final = st.sampled_from((None, "invite", "join", "leave", "knock"))


def restricted_join(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Ben joins a restricted room."""
    room = room.with_(JOIN_RULES, {"join_rule": draw(_RESTRICTED)})
    event = membership_fields(ben, ben, "join", join_authorised_via_users_server=DAN)
    invited = reason == "invited"
    room = room.with_member(ben, "invite" if invited else None)
    room = room.with_member(DAN, None if reason == "authoriser away" else "join")
    if reason == "authoriser too low":
        room = with_levels(room, {DAN: 49}, invite=50)
    elif reason == "authorised":
        room = with_levels(room, {DAN: 50}, invite=draw(st.sampled_from((50, 0))))
    elif reason == "nobody" or (invited and draw(MAYBE)):
        return Trial(room, membership_fields(ben, ben, "join"))
    return Trial(room, event, signed_by=() if reason == "unsigned" else (server_of(DAN),))


def invite(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Cleo invites Ben."""
    outside = st.sampled_from(("join", "ban") if reason == "inside" else (None, "leave", "knock"))
    room = room.with_member(ben, draw(outside))
    room = room.with_member(CLEO, "leave" if reason == "sender away" else "join")
    # One below the level and at it: engines that confuse "less" with "at most" fail only here.
    room = with_levels(room, {CLEO: 49 if reason == "too low" else 50}, invite=50)
    return Trial(room, membership_fields(CLEO, ben, "invite"))


def answer(_: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """An invite made of a third-party invite."""
    stored = stored_invite("token", 0 if reason == "single key" else 2)
    room = room.with_(("m.room.third_party_invite", "token"), stored["content"])
    room = room.with_member(ben, "ban" if reason == "banned" else None)
    fields = _signed(ben, reason)
    return Trial(room, {**fields, "sender": CLEO if reason == "sender" else ANA})


def _signed(user: str, reason: str) -> Fields:
    """Return the invite, with the fault that the reason names."""
    match reason:
        case "mxid":
            return {**signed_invite(CLEO, "token"), "state_key": user}
        case "token":
            return signed_invite(user, "another token")
        case "key":
            # The signature is good. Only its key is not among those of the stored invite.
            return signed_invite(user, "token", signer_of("a.example"))
    fields = signed_invite(user, "token")
    invited = fields["content"]["third_party_invite"]
    match reason.split():
        case ["null"]:
            fields["content"]["third_party_invite"] = None
        case ["altered"]:
            # No rule reads this key, so an engine has to check the signature to notice.
            invited["signed"]["more"] = 1
        case ["signed", "gone"]:
            del invited["signed"]
        case [name, "gone"]:
            del invited["signed"][name]
    return fields


def leave(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Ben leaves, or Cleo removes him."""
    if reason.startswith("own"):
        membership = reason.removeprefix("own ")
        return Trial(room.with_member(ben, membership), membership_fields(ben, ben, "leave"))
    room = room.with_member(CLEO, None if reason == "sender away" else "join")
    room = room.with_member(ben, "ban" if "unban" in reason else draw(_NOT_BANNED))
    # Equal power is not enough to remove somebody, so "as high" is exactly Cleo's level.
    users = {CLEO: 49 if "too low" in reason else 50, ben: 50 if reason == "as high" else 0}
    return Trial(with_levels(room, users, ban=50), membership_fields(CLEO, ben, "leave"))


def ban(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Cleo bans Ben."""
    room = room.with_member(CLEO, "knock" if reason == "sender away" else "join")
    # Any of them: nobody has to be in the room to be banned from it.
    room = room.with_member(ben, draw(MEMBERSHIPS))
    users = {CLEO: 49 if reason == "too low" else 50, ben: 50 if reason == "as high" else 0}
    return Trial(with_levels(room, users), membership_fields(CLEO, ben, "ban"))


def knock(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """Ben knocks."""
    rules = (
        ("invite", "restricted", "public")
        if reason == "rule"
        else ("knock", "knock", "knock_restricted")
    )
    room = with_join_rule(draw, room, st.sampled_from(rules))
    inside = st.sampled_from(("join", "invite", "ban") if reason == "inside" else (None, "knock"))
    sender = CLEO if reason == "of another" else ben
    return Trial(room.with_member(ben, draw(inside)), membership_fields(sender, ben, "knock"))


def odd_member(draw: DrawFn, room: Sketch, ben: str, reason: str) -> Trial:
    """A malformed member event."""
    fields = membership_fields(ANA, ben, "join")
    match reason:
        case "no membership":
            del fields["content"]["membership"]
        case "no key":
            del fields["state_key"]
        case "key":
            # The specification does not say what a user ID is here. Synapse wants a colon, ruma a
            # user ID.
            fields["state_key"] = draw(st.sampled_from(("", "ben", "@ben", "@ben:")))
        case _:
            fields["content"]["membership"] = draw(_ODD_MEMBERSHIPS)
    return Trial(room, fields)


_ODD_MEMBERSHIPS: Final = st.sampled_from(("odd", "Join", "", None, 7, ["join"]))
