"""Membership invite, invites through a third party included."""

from __future__ import annotations

from matrix_membership.auth._rule import Category, Section, allows, numbers_of, rejects
from matrix_membership.events import Event
from matrix_membership.events.contents import SignedInvite, ThirdPartyInvite
from matrix_membership.membership import BAN, INVITE, JOIN
from matrix_membership.signing import signed_by_key
from matrix_membership.state import RoomState


# Tested first. The signature of an identity server does not expire, so after a kick the same invite
# works again. A ban stops it here. gomatrixserverlib never tests it.
@rejects(v1="5.3.1.1", v6="4.3.1.1", v8="4.4.1.1", v12="5.4.1.1", category=Category.BANNED)
def third_party_target_banned(event: Event, state: RoomState) -> bool:
    """The invited user is banned."""
    return state.membership_of(event.state_key or "") is BAN


@rejects(v1="5.3.1.2", v6="4.3.1.2", v8="4.4.1.2", v12="5.4.1.2", category=Category.MALFORMED)
def third_party_unsigned(event: Event, _: RoomState) -> bool:
    """The third-party invite has no signed block."""
    return not _invite(event).has_signed


# The text asks whether properties are present. So `signed: null` passes the rule before and fails
# this one.
@rejects(v1="5.3.1.3", v6="4.3.1.3", v8="4.4.1.3", v12="5.4.1.3", category=Category.MALFORMED)
def third_party_without_mxid_or_token(event: Event, _: RoomState) -> bool:
    """The signed block names no user or no token."""
    return not _invite(event).has_names


@rejects(
    v1="5.3.1.4", v6="4.3.1.4", v8="4.4.1.4", v12="5.4.1.4", category=Category.THIRD_PARTY_INVITE
)
def third_party_mxid_of_another_user(event: Event, _: RoomState) -> bool:
    """The signed block names another user."""
    return _invite(event).mxid != event.state_key


@rejects(
    v1="5.3.1.5", v6="4.3.1.5", v8="4.4.1.5", v12="5.4.1.5", category=Category.THIRD_PARTY_INVITE
)
def third_party_token_unknown(event: Event, state: RoomState) -> bool:
    """The room has no third-party invite of that token."""
    return _stored(event, state) is None


# Only equality is asked. The user who stored the invite may have left the room or lost the power to
# invite since.
@rejects(
    v1="5.3.1.6", v6="4.3.1.6", v8="4.4.1.6", v12="5.4.1.6", category=Category.THIRD_PARTY_INVITE
)
def third_party_sender_differs(event: Event, state: RoomState) -> bool:
    """The sender is not the one who sent the third-party invite."""
    stored = _stored(event, state)
    return stored is not None and stored.sender != event.sender


@allows(v1="5.3.1.7", v6="4.3.1.7", v8="4.4.1.7", v12="5.4.1.7")
def third_party_signed_by_its_key(event: Event, state: RoomState) -> bool:
    """A key of the third-party invite signed for the user."""
    stored, signed = _stored(event, state), _invite(event).signed
    if stored is None or signed is None or not isinstance(stored.view, ThirdPartyInvite):
        return False
    # The one verification inside a rule. All other signatures are checked once, before any rule
    # runs, but these keys are part of the room's state.
    return signed_by_key(signed, stored.view.public_keys)


@rejects(
    v1="5.3.1.8", v6="4.3.1.8", v8="4.4.1.8", v12="5.4.1.8", category=Category.THIRD_PARTY_INVITE
)
def third_party_otherwise(event: Event, _: RoomState) -> bool:
    """No key of the third-party invite signed for the user."""
    return True


@rejects(v1="5.3.2", v6="4.3.2", v8="4.4.2", v12="5.4.2", category=Category.NOT_JOINED)
def sender_not_joined(event: Event, state: RoomState) -> bool:
    """The sender is not joined."""
    return state.membership_of(event.sender) is not JOIN


# Not asked of third-party invites: one of a joined user is allowed, and makes the user invited
# again.
@rejects(v1="5.3.3", v6="4.3.3", v8="4.4.3", v12="5.4.3", category=Category.ALREADY_JOINED)
def target_joined_or_banned(event: Event, state: RoomState) -> bool:
    """The invited user is joined or banned already."""
    return state.membership_of(event.state_key or "") in (JOIN, BAN)


@allows(v1="5.3.4", v6="4.3.4", v8="4.4.4", v12="5.4.4")
def sender_may_invite(event: Event, state: RoomState) -> bool:
    """The sender has the invite level."""
    return state.power_level_of(event.sender) >= state.power_levels.invite


@rejects(v1="5.3.5", v6="4.3.5", v8="4.4.5", v12="5.4.5", category=Category.POWER)
def otherwise(event: Event, _: RoomState) -> bool:
    """The sender is below the invite level."""
    return True


_NO_INVITE = SignedInvite(has_signed=False, signed=None, mxid=None, token=None, has_names=False)


def _invite(event: Event) -> SignedInvite:
    return event.view if isinstance(event.view, SignedInvite) else _NO_INVITE


def _stored(event: Event, state: RoomState) -> Event | None:
    token = _invite(event).token
    return None if token is None else state.get("m.room.third_party_invite", token)


def _through_a_third_party(event: Event, _: RoomState) -> bool:
    # A `third_party_invite` of any value makes a view, null too. gomatrixserverlib and ruma take
    # null for a plain invite.
    return event.view is not None


INVITE_SECTION = Section(
    membership=INVITE,
    numbers=numbers_of({"v1": "5.3", "v6": "4.3", "v8": "4.4", "v12": "5.4"}),
    rules=(
        Section(
            when=_through_a_third_party,
            text="the content has a third_party_invite",
            numbers=numbers_of({"v1": "5.3.1", "v6": "4.3.1", "v8": "4.4.1", "v12": "5.4.1"}),
            rules=(
                third_party_target_banned,
                third_party_unsigned,
                third_party_without_mxid_or_token,
                third_party_mxid_of_another_user,
                third_party_token_unknown,
                third_party_sender_differs,
                third_party_signed_by_its_key,
                third_party_otherwise,
            ),
        ),
        sender_not_joined,
        target_joined_or_banned,
        sender_may_invite,
        otherwise,
    ),
)
