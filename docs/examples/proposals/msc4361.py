"""MSC4361: a room that is not federated takes no members of other servers.

The specification looks at the sender alone, so that a user of another server can be invited
to a room which they can never enter.

https://github.com/matrix-org/matrix-spec-proposals/pull/4361
"""

from __future__ import annotations

from matrix_membership import V12, Event, RoomState, auth
from matrix_membership.auth import rejects
from matrix_membership.identifiers import is_user_id, server_of


@rejects("5.0")
def target_from_unfederated_server(event: Event, state: RoomState) -> bool:
    """The room is not federated and the target user is of another server."""
    create, user = state.create_event, event.state_key
    if state.create.federate or create is None or not is_user_id(user):
        return False
    return server_of(user) != create.server


VERSION = V12.evolve(
    identifier="org.matrix.msc4361.12",
    rules=auth.rulebook(V12).insert(target_from_unfederated_server, before="5.1"),
)
