"""MSC3757: who may write the state that belongs to a user.

A state key may be a user ID with a suffix: `@ben:b.example_device`. The state belongs to that
user. Somebody else may write it only with more power than the user has.

https://github.com/matrix-org/matrix-spec-proposals/pull/3757
"""

from __future__ import annotations

from matrix_membership import V10, V11, Event, RoomState, RoomVersion, auth
from matrix_membership.auth import rejects
from matrix_membership.identifiers import UserID, is_user_id


def owner(state_key: str) -> UserID | None:
    """Return the user to whom a state key belongs; None if it starts with no user ID."""
    # A server name has no underscore, so the first one behind the colon starts the suffix.
    name, colon, rest = state_key.partition(":")
    user = name + colon + rest.partition("_")[0]
    return UserID(user) if is_user_id(user) else None


@rejects()
def state_of_a_user_not_below(event: Event, state: RoomState) -> bool:
    """The state belongs to another user, who is not below the sender."""
    key = event.state_key
    if key is None or not key.startswith("@") or key == event.sender:
        return False
    user = owner(key)
    if user is None:
        return True
    return user != event.sender and state.power_level_of(event.sender) <= state.power_level_of(user)


def _with_owned_state(base: RoomVersion) -> RoomVersion:
    rules = auth.rulebook(base).replace(
        "every_event.state_key_of_another_user", state_of_a_user_not_below
    )
    return base.evolve(identifier=f"org.matrix.msc3757.{base}", rules=rules)


ON_V10 = _with_owned_state(V10)
ON_V11 = _with_owned_state(V11)
