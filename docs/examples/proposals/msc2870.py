"""MSC2870: the access list of a room survives redaction.

Without its `allow`, a list shuts out every server, and no event can repair it.

https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/2870-protect-acls-from-redaction.md
"""

from __future__ import annotations

from matrix_membership import V11, V12, RoomVersion


def _with_kept_access_lists(base: RoomVersion) -> RoomVersion:
    return base.evolve(
        identifier=f"org.matrix.msc2870.{base}",
        redaction_content={"m.room.server_acl": {"allow", "deny", "allow_ip_literals"}},
    )


ON_V11 = _with_kept_access_lists(V11)
ON_V12 = _with_kept_access_lists(V12)
