"""The top level of the specification's list, in its order."""

from __future__ import annotations

from matrix_membership.auth import auth_events, create
from matrix_membership.auth.aliases import ALIASES
from matrix_membership.auth.every_event import (
    otherwise,
    sender_below_required_power_level,
    sender_from_unfederated_server,
    sender_not_joined,
    state_key_of_another_user,
)
from matrix_membership.auth.member import MEMBER
from matrix_membership.auth.power_levels import POWER_LEVELS
from matrix_membership.auth.redaction import REDACTION
from matrix_membership.auth.third_party_invite import THIRD_PARTY_INVITE

CREATE = create.RULES  # 1

AUTH_EVENTS = auth_events.RULES  # 2; version 12: 2 and 3

# The first rule that fires decides, so the order is part of every rule. Aliases and members stand
# before the rule on membership (6), because their senders need not be joined.
STATE_DEPENDENT = (
    sender_from_unfederated_server,  # 3; version 12: 4
    ALIASES,  # 4, versions 1 to 5
    MEMBER,  # 5; versions 6 to 11: 4
    sender_not_joined,  # 6; versions 6 to 11: 5
    THIRD_PARTY_INVITE,  # 7; versions 6 to 11: 6
    sender_below_required_power_level,  # 8; versions 6 to 11: 7
    state_key_of_another_user,  # 9; versions 6 to 11: 8
    POWER_LEVELS,  # 10; versions 6 to 11: 9
    REDACTION,  # 11, versions 1 and 2
    otherwise,  # 12, 11 or 10
)
