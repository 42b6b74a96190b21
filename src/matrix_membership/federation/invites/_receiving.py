"""The invited server: checking an invite and signing it.

Only a server that is already in the room can check the auth rules and the server ACL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.events import Event
from matrix_membership.federation._arrival import read_member_event
from matrix_membership.federation.invites.messages import InviteRequest, InviteResponse
from matrix_membership.federation.invites.policy import InvitePolicy, InviteVerdict
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import ServerName
from matrix_membership.membership import INVITE
from matrix_membership.receipt.server_acl import permits
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import KeyRing, Signer, sign
from matrix_membership.state import RoomState

_TAKES_ALL: Final = InvitePolicy()
# Many servers still send stripped state in these versions. Refusing their invites would
# cut off users, so faults of invite_room_state become warnings.
_MIGRATING: Final = tuple(str(number) for number in range(1, 12))


@frozen
class Countersigned:
    """An invite that this server signed.

    Attributes:
        event: the invite with both signatures.
        response: the answer to send: the event as received, with one more signature.
        room_state: the events that describe the room: verified events of that room,
            and stripped ones, which prove nothing.
        shown: whether to show the invite to the user.
        warnings: the faults of `invite_room_state`.

    .. versionadded:: 0.1.0
    """

    event: Event
    response: InviteResponse
    room_state: tuple[Event, ...]
    shown: bool = True
    warnings: tuple[MatrixError, ...] = ()

    @property
    def invite_state(self) -> list[dict[str, JsonValue]]:
        """The `invite_state` for the user's clients: stripped events, the invite last."""
        return [entry.to_stripped() for entry in (*self.room_state, self.event)]


def answer(
    request: InviteRequest,
    signer: Signer,
    *,
    keys: KeyRing,
    room_versions: Mapping[str, RoomVersion] = KNOWN,
    policy: InvitePolicy = _TAKES_ALL,
    server_policy: InvitePolicy = _TAKES_ALL,
    state: RoomState | None = None,
    strict: bool | None = None,
) -> Countersigned | MatrixError:
    """Answer an invite of one of this server's users.

    Args:
        request: the request.
        signer: this server's key.
        keys: those keys of `request.needs` that could be fetched.
        room_versions: the room versions that this server supports.
        policy: the user's invite policy.
        server_policy: this server's invite policy.
        state: the current state of the room, when this server is in it; the server ACL
            and the auth rules are then checked too.
        strict: whether to refuse an invite for any fault of `invite_room_state`, and not
            only warn. None: warn in room versions 1 to 11; in all others refuse, but warn of
            stripped events other than the create event.

    Returns:
        The signed invite with its answer; or the error to answer. Cost: verifying the
        signatures of the invite and of the events that describe the room.

    .. versionadded:: 0.1.0
    """
    version = _version_of(request, room_versions)
    if isinstance(version, MatrixError):
        return version
    event = _read(request, version, signer.server_name, keys)
    if isinstance(event, MatrixError):
        return event
    room_state, faults = examined(request.invite_room_state, event, keys)
    unforgivable = _unforgivable(faults, version, strict=strict)
    if unforgivable is not None:
        return unforgivable
    shown = True
    # A policy can block the room as well as the sender, so the sentence blames neither.
    for asked, errcode, who in (
        (server_policy, "M_FORBIDDEN", signer.server_name),
        (policy, "M_INVITE_BLOCKED", event.state_key),
    ):
        verdict = asked.verdict(event.sender, event.room_id)
        if verdict is InviteVerdict.BLOCK:
            return MatrixError.of(errcode, f"{who} does not take this invite")
        shown = shown and verdict is InviteVerdict.ALLOW
    refusal = None if state is None else _refused_by_room(event, state, request.origin)
    if refusal is not None:
        return refusal
    signed = sign(event, signer)
    answered = JsonObject({**request.event, "signatures": freeze(signed.to_pdu()["signatures"])})
    return Countersigned(
        signed, InviteResponse(answered, request.endpoint), room_state, shown, tuple(faults)
    )


def _unforgivable(
    faults: Mapping[MatrixError, bool], version: RoomVersion, *, strict: bool | None
) -> MatrixError | None:
    """Return the fault of the room's description that refuses the invite, if any."""
    if strict is None and version.identifier in _MIGRATING:
        strict = False
    if strict is None:
        # Servers sent the create event as a PDU and the rest stripped until mid-2026. The
        # create event alone proves the room ID; the rest is for the user to look at.
        return next((fault for fault, grave in faults.items() if grave), None)
    return next(iter(faults), None) if strict else None


def _refused_by_room(event: Event, state: RoomState, origin: str) -> MatrixError | None:
    """Return why the room of this server refuses the invite; None if it does not."""
    if not permits(state, origin):
        return MatrixError.of("M_FORBIDDEN", f"the server ACL of this room shuts out {origin}")
    decision = auth.check(event, state)
    return None if decision.allowed or decision.undecided else MatrixError.forbidden(decision)


def _version_of(
    request: InviteRequest, room_versions: Mapping[str, RoomVersion]
) -> RoomVersion | MatrixError:
    named = request.room_version
    if named is None:
        # At the v1 endpoint only the create event can tell the two versions apart.
        creates = [
            entry["content"].get("room_version")
            for entry in request.invite_room_state
            if isinstance(entry, Mapping)
            and entry.get("type") == "m.room.create"
            and isinstance(entry.get("content"), Mapping)
        ]
        named = "2" if "2" in creates else "1"
    version = room_versions.get(named)
    if version is None:
        return MatrixError.of(
            "M_INCOMPATIBLE_ROOM_VERSION",
            f"this server does not support room version {named}",
            room_version=named,
        )
    return version


def _read(
    request: InviteRequest, version: RoomVersion, server: ServerName, keys: KeyRing
) -> Event | MatrixError:
    """Return the invite, verified, if this server may sign it."""
    pdu = dict(request.event)
    if isinstance(pdu.get("unsigned"), Mapping):
        # It is read on its own, and would count towards the size of the event.
        unsigned = pdu["unsigned"]
        pdu["unsigned"] = {key: unsigned[key] for key in unsigned if key != "invite_room_state"}
    return read_member_event(request, pdu, version, keys, membership=INVITE, server_name=server)
