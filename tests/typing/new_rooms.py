"""A room is made or refused: the type checker tells a caller who looks at neither."""

from __future__ import annotations

from matrix_membership import Event, Signer
from matrix_membership.client import (
    CreateRequest,
    NewRoom,
    UpgradeRequest,
    create_room,
    upgrade_room,
)
from matrix_membership.identifiers import RoomID
from matrix_membership.server import MatrixError, ResidentRoom


def right(request: CreateRequest, room_id: RoomID, signer: Signer) -> tuple[Event, ...]:
    made = create_room(request, room_id=room_id, at=1)
    return () if isinstance(made, MatrixError) else made.complete(signer)


def right_upgrade(request: UpgradeRequest, room: ResidentRoom, room_id: RoomID) -> NewRoom | None:
    upgraded = upgrade_room(request, room, room_id=room_id, at=1)
    return None if isinstance(upgraded, MatrixError) else upgraded.new_room


def wrong(request: CreateRequest, upgrade: UpgradeRequest, room_id: RoomID, signer: Signer) -> None:
    create_room(request, at=1)  # error: call-arg
    made = create_room(request, room_id=room_id, at=1)
    made.complete(signer)  # error: union-attr
    create_room(upgrade, room_id=room_id, at=1)  # error: arg-type
