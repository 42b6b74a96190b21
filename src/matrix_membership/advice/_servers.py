"""Check which servers a room shuts out, and what its policy server does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Final

from matrix_membership.advice._finding import Check, Finding, Weight
from matrix_membership.advice._given import lacks_members
from matrix_membership.auth.explaining.levels import acts, listed
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import shown
from matrix_membership.events.contents import unpadded_base64
from matrix_membership.identifiers import UserID, server_of
from matrix_membership.membership import INVITE
from matrix_membership.receipt.policy_server import PolicyServer
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.signing import SEED_BYTES
from matrix_membership.state import RoomState

MOST_COMPARISONS: Final = 50_000
"""The most comparisons of a server with a pattern that is matched character by character.

If there are more, `lint` looks at the first servers by name: at 5,000 if the list has 10 such
patterns (`receipt.server_acl.ServerAcl.odd_patterns`).
"""


def _shut_out(state: RoomState) -> Iterator[Finding]:
    event, acl = state.get("m.room.server_acl"), ServerAcl.of(state)
    if acl is None:
        return
    # A stranger may write thousands of odd patterns for a room of thousands of servers, and the
    # comparisons are their product.
    most = MOST_COMPARISONS // max(1, acl.odd_patterns)
    present, invited = state.servers_in_room, _invited(state)
    servers = sorted({*present, *map(server_of, invited)})
    denied = {server for server in servers[:most] if not acl.allows(server)}
    members = tuple(sorted(denied & present))
    # Otherwise there may be a member, not looked at, who can still mend the list.
    is_sure = len(servers) <= most and not lacks_members(state)
    if members:
        every = "every server of the room is banned from it"
        if not acl.allow:  # a list that only denies is a frequent mistake
            every += ": without a name in `allow`, the access control list permits nobody"
        yield Finding(
            "acl-bans-members",
            Weight.HURTS,
            event,
            members,
            every
            if len(members) == len(present)
            else "members on these servers are cut off: their events are refused",
            _remedy_by_list(state, {*servers[:most]} - denied, is_sure=is_sure),
        )
    in_vain = tuple(user for user in invited if server_of(user) in denied)
    if in_vain:
        yield Finding(
            "invited-cannot-join",
            Weight.MAY_HURT,
            event,
            in_vain,
            "these users cannot accept their invites: the access control list bans their servers",
            "permit their servers, or withdraw the invites",
        )


def _invited(state: RoomState) -> tuple[UserID, ...]:
    """Return the invited users. Cost: linear in the members."""
    return tuple(
        UserID(user) for user, event in state.members.items() if event.membership is INVITE
    )


def _remedy_by_list(state: RoomState, permitted: AbstractSet[str], *, is_sure: bool) -> str:
    """Say who can change the list: a member whose own server is permitted."""
    levels, users = state.power_levels, listed(state)
    needed = levels.required_for("m.room.server_acl", is_state=True)
    able = sorted(user for user in users if state.power_level_of(user) >= needed)
    plain = state.joined_members() if levels.users_default >= needed else iter(())
    # Those with a level of their own first: they are few, and all joined members are read only if
    # none of them can do it.
    for user in chain(able, (user for user in plain if user not in users)):
        if server_of(user) in permitted and acts(user, state):
            return f"have {user} permit the servers, or have their users removed"
    if not is_sure:
        return "permit the servers, or have their users removed"
    return (
        "nobody can mend it from inside, because the servers of all who may change the list are"
        " banned: make another room, and invite the members"
    )


def _unmatched(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.server_acl")
    if event is None:
        return
    found = []
    for name in ("allow", "deny"):
        entries = event.content.get(name)
        if isinstance(entries, (list, tuple)):
            odd = [(i, entry) for i, entry in enumerate(entries) if not can_match(entry)]
            found += [f"{name}[{index}] {shown(entry)}" for index, entry in odd]
        elif name in event.content:
            found.append(f"{name} {shown(entries)}")
    if found:
        yield Finding(
            "acl-matches-nothing",
            Weight.MAY_HURT,
            event,
            tuple(found),
            "these entries of the access control list match no server: a server name has no port"
            " there, and neither scheme nor user",
            "write lists of server names, with * and ? as the only wildcards",
        )


def can_match(entry: JsonValue) -> bool:
    """Tell whether an entry of an access control list can match a server."""
    return isinstance(entry, str) and any(form(entry) for form in (_like_name, _like_ipv6))


# A port is cut off before a name is compared, so a colon stands in an IPv6 literal alone.
_like_name: Final = re.compile(r"[0-9A-Za-z.*?-]+").fullmatch
_like_ipv6: Final = re.compile(r"[\[*?][0-9A-Fa-f:.*?]*[\]*?]").fullmatch


def _policy_server(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.policy")
    if event is None or not event.content:
        return
    content = event.content
    via, keys = content.get("via"), content.get("public_keys")
    key = keys.get("ed25519") if isinstance(keys, Mapping) else None
    if not isinstance(via, str) or not isinstance(key, str):
        yield Finding(
            "policy-server-unnamed",
            Weight.MAY_HURT,
            event,
            (),
            "the room does not use its policy server: the event lacks the server or its key",
            "name the server in via and its key in public_keys.ed25519, or empty the content",
        )
        return
    if PolicyServer.of(state) is None:
        yield Finding(
            "policy-server-absent",
            Weight.NOTE,
            event,
            (via,),
            "the room does not use its policy server, which has no joined user",
            "have a user of that server join, or empty the content",
        )
    # Worse than a policy server that is absent: this one is in force, and nobody can check what it
    # signs.
    elif len(unpadded_base64(key) or b"") != SEED_BYTES:
        yield Finding(
            "policy-server-key-unreadable",
            Weight.HURTS,
            event,
            (via,),
            "every event is soft-failed: nobody can check signatures by the policy server's key",
            f"set public_keys.ed25519 to the {SEED_BYTES} bytes of its key, or empty the content",
        )


def _closed_with_others(state: RoomState) -> Iterator[Finding]:
    create = state.create_event
    if state.create.federate or create is None:
        return
    others = tuple(sorted(server for server in state.servers_in_room if server != create.server))
    if others:
        yield Finding(
            "unfederated-with-others",
            Weight.HURTS,
            create,
            others,
            "members on these servers can send nothing: the room is closed to other servers",
            "make another room, and invite them",
        )
    in_vain = tuple(user for user in _invited(state) if server_of(user) != create.server)
    if in_vain:
        yield Finding(
            "invited-cannot-join",
            Weight.MAY_HURT,
            create,
            in_vain,
            "these users can never accept their invites: the room is closed to other servers",
            "withdraw the invites, make another room, and invite them there",
        )


SERVER_CHECKS: Final[tuple[Check, ...]] = (
    _shut_out,
    _unmatched,
    _policy_server,
    _closed_with_others,
)
