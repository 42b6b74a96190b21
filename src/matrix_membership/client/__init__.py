"""Answering clients: one function for each membership endpoint.

Read a request (`read_join`, …), call the endpoint's function with the room as this
server knows it, and do what it returns::

    match join(read_join(user, room_id, query=query, body=body), room, at=now_ms):
        case Send() as send: …       # complete the template, send it, answer
        case Begin() as begin: …     # the handshake, server by server
        case Answer(body): …         # nothing to do but answer
        case NeedsAlias() | NeedsMemberships(): …  # look it up, and ask again
        case MatrixError() as error: …

A request comes from the reader of its endpoint, `room` is the room as this server knows it, `at`
the time now in milliseconds since 1970, and `settings` what is on record of the users in the
request: whether the user who makes it is suspended, and what the endpoint reads. See `Room
membership`__.

__ https://spec.matrix.org/v1.19/client-server-api/#room-membership
"""

from __future__ import annotations

from matrix_membership.client.actions import (
    Action,
    Answer,
    Begin,
    Forget,
    NeedsAlias,
    NeedsExchange,
    NeedsIdentityServer,
    NeedsMemberships,
    Send,
)
from matrix_membership.client.creating import CreateRequest as CreateRequest
from matrix_membership.client.creating import NewRoom as NewRoom
from matrix_membership.client.creating import create_room, read_create_room
from matrix_membership.client.entering import join, knock
from matrix_membership.client.inviting import invite
from matrix_membership.client.known import UserSettings
from matrix_membership.client.leaving import ban, forget, kick, leave, unban
from matrix_membership.client.members import joined_members, set_membership
from matrix_membership.client.rate_limit import TokenBucket
from matrix_membership.client.requests import (
    AddressRequest,
    ClientRequest,
    read_forget,
    read_invite,
    read_join,
    read_joined_members,
    read_knock,
    read_leave,
    read_membership,
    read_target,
)
from matrix_membership.client.upgrading import UpgradedRoom as UpgradedRoom
from matrix_membership.client.upgrading import UpgradeRequest as UpgradeRequest
from matrix_membership.client.upgrading import read_upgrade, upgrade_room

__all__ = [
    "Action",
    "AddressRequest",
    "Answer",
    "Begin",
    "ClientRequest",
    "Forget",
    "NeedsAlias",
    "NeedsExchange",
    "NeedsIdentityServer",
    "NeedsMemberships",
    "Send",
    "TokenBucket",
    "UserSettings",
    "ban",
    "create_room",
    "forget",
    "invite",
    "join",
    "joined_members",
    "kick",
    "knock",
    "leave",
    "read_create_room",
    "read_forget",
    "read_invite",
    "read_join",
    "read_joined_members",
    "read_knock",
    "read_leave",
    "read_membership",
    "read_target",
    "read_upgrade",
    "set_membership",
    "unban",
    "upgrade_room",
]
