"""Inviting somebody by an e-mail address or the like: all three servers' parts.

1. The inviting server has an identity server store the invite, and puts what that
   answers into the room: `store`.
2. When the address is bound to a user, the identity server tells that user's server,
   which turns each pending invite into a real one, itself or through the inviting
   server: `bound`.
3. The inviting server checks the identity server's word and asks whether its key is
   still valid: `answer_exchange`, whose `AwaitingValidity` names the questions.

See `Third-party invites`__.

__ https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.errors import InvalidEvent, LocalProtocolError
from matrix_membership.events import Event
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.invites.messages import (
    ExchangeRequest,
    OnBindRequest,
    PendingInvite,
    StoredInvite,
    public_key_of,
)
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import is_user_id, server_of
from matrix_membership.membership import JOIN
from matrix_membership.signing import Signer, signed_by_key

__all__ = [
    "AwaitingValidity",
    "KeyValidity",
    "answer_exchange",
    "bound",
    "content_of",
    "exchange",
    "redeem",
    "revoke",
    "store",
]

_STORED = "m.room.third_party_invite"


# ------------------------------------------------------------------ the inviting server


def store(
    stored: StoredInvite, sender: str, room: ResidentRoom, signer: Signer, *, at: int
) -> Event | MatrixError:
    """Put what an identity server stored into the room.

    Args:
        stored: the identity server's answer.
        sender: who invites.
        room: the room.
        signer: this server's key.
        at: the time now, in milliseconds since 1970.

    Returns:
        The `m.room.third_party_invite` event to send; or the error to answer to the
        client.
    """
    content = content_of(stored)
    return _issued(room, signer, _STORED, stored.token, sender=sender, content=content, at=at)


def content_of(stored: StoredInvite) -> JsonObject:
    """What an `m.room.third_party_invite` event says of an invite that was stored."""
    # Older servers know one key alone. It must be one that can be used.
    first = next((key for key in stored.public_keys if public_key_of(key)), JsonObject())
    legacy = {name: first[name] for name in ("public_key", "key_validity_url") if name in first}
    content: JsonObject = freeze(
        {**legacy, "display_name": stored.display_name, "public_keys": stored.public_keys}
    )
    return content


def revoke(
    token: str, sender: str, room: ResidentRoom, signer: Signer, *, at: int
) -> Event | MatrixError:
    """Revoke a third-party invite: an event without keys takes its place.

    Args:
        token: the token.
        sender: who revokes; anybody who may invite can.
        room: the room.
        signer: this server's key.
        at: the time now, in milliseconds since 1970.

    Returns:
        The event to send; or the error to answer to the client.
    """
    current = room.state.get(_STORED, token)
    if current is None or not current.content:
        return MatrixError.of("M_NOT_FOUND", "there is no such third-party invite in the room")
    return _issued(room, signer, _STORED, token, sender=sender, content={}, at=at)


@frozen
class KeyValidity:
    """A question for the caller to put: is this key still valid?

    The URL comes out of the room: a caller should not fetch it from where it could
    reach what outsiders cannot.

    Attributes:
        url: where the identity server answers.
        public_key: the key, as the room holds it.
    """

    url: str
    public_key: str

    @property
    def uri(self) -> str:
        """What to GET. The answer is an object with `valid`."""
        url = self.url.partition("#")[0]
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'public_key': self.public_key})}"


@frozen
class AwaitingValidity:
    """The identity server's word is good; its keys may have been revoked since.

    Only this server asks. Others would come to different answers at other times.

    Attributes:
        event: the invite, in which the display name is the room's.
        needs: what to ask. One good answer suffices.
        is_settled: a key that nobody can revoke has signed: nothing need be asked.
    """

    event: Event
    needs: tuple[KeyValidity, ...]
    is_settled: bool = False

    def receive(self, answers: Mapping[KeyValidity, JsonValue]) -> Event | MatrixError:
        """Take the answers.

        Args:
            answers: for each of `needs` the parsed answer; None, or no entry, for one
                that could not be had.

        Returns:
            The invite to offer to the invited user's server (`invites.offer`) and to
            send, before the exchange is answered with `{}`; or the error to answer.

        Raises:
            LocalProtocolError: an answer is to no question of these.
        """
        asked = frozenset(self.needs)
        for question in answers:
            if question not in asked:
                raise LocalProtocolError("answers to needs", question)
        if self.is_settled or any(map(_says_valid, answers.values())):
            return self.event
        return MatrixError.of("M_FORBIDDEN", "no key that signed is known to be valid still")


def answer_exchange(
    request: ExchangeRequest, room: ResidentRoom | None, signer: Signer, *, at: int
) -> AwaitingValidity | MatrixError:
    """Answer a request to make an invite of a third-party invite.

    Args:
        request: the request.
        room: the room, or None when this server is not in it.
        signer: this server's key.
        at: the time now, in milliseconds since 1970.

    Returns:
        The step that knows what to ask; or the error to answer.
    """
    if room is None or room.room_id != request.room_id or room.state.is_partial:
        return MatrixError.of("M_NOT_FOUND", f"this server cannot speak of {request.room_id}")
    fault = _fault(request)
    if fault:
        return MatrixError.of("M_INVALID_PARAM", f"the exchange was refused: {fault}")
    event = request.event
    sender, user = event["sender"], event["state_key"]
    if server_of(sender) != room.server_name:
        # The invited server would not take from us what another server's user sends.
        return MatrixError.of("M_FORBIDDEN", f"{sender} is not a user of {room.server_name}")
    third_party = event["content"]["third_party_invite"]
    invite = _invite(user, sender, third_party, room, signer, at=at)
    if isinstance(invite, MatrixError):
        return invite
    signed = third_party["signed"]
    stored = room.state.get(_STORED, signed["token"])
    assert stored is not None  # noqa: S101 - the rules have just looked into it
    return _awaiting_validity(invite, stored, signed)


def _fault(request: ExchangeRequest) -> str:
    """What is wrong with an exchange, without looking at the room."""
    event = request.event
    content = event["content"]
    invite = content.get("third_party_invite")
    for wrong, sentence in (
        (event["type"] != "m.room.member", "its type is not m.room.member"),
        (event["room_id"] != request.room_id, "its room is not the one in the path"),
        (content.get("membership") != "invite", "its membership is not invite"),
        (not is_user_id(event["sender"]), "its sender is no user"),
        (not is_user_id(event["state_key"]), "its state key is no user"),
        (not isinstance(invite, Mapping), "it has no third_party_invite"),
    ):
        if wrong:
            return sentence
    return ""


def _awaiting_validity(invite: Event, stored: Event, signed: JsonObject) -> AwaitingValidity:
    needs: dict[KeyValidity, None] = {}
    with_url: set[bytes] = set()
    signers: set[bytes] = set()
    tried: dict[bytes, bool] = {}
    for entry in _key_entries(stored.content):
        key = public_key_of(entry)
        if key is None:
            continue
        # One key may stand in many entries.
        if key not in tried:
            tried[key] = signed_by_key(signed, [key])
        if not tried[key]:
            continue
        signers.add(key)
        url = entry.get("key_validity_url")
        if url is not None:
            with_url.add(key)
            if isinstance(url, str) and url.startswith(("https://", "http://")):
                needs[KeyValidity(url, entry["public_key"])] = None
    # A key is good for ever only where none of its entries names a place to ask.
    return AwaitingValidity(invite, tuple(needs), is_settled=bool(signers - with_url))


def _key_entries(content: JsonObject) -> Iterator[Mapping[str, JsonValue]]:
    """The entries of `public_keys`, and the one that stands in the content itself."""
    listed = content.get("public_keys")
    for entry in (content, *(listed if isinstance(listed, tuple) else ())):
        if isinstance(entry, Mapping):
            yield entry


def _says_valid(answer: JsonValue) -> bool:
    return isinstance(answer, Mapping) and answer.get("valid") is True


# ------------------------------------------------------------- the invited user's server


def bound(
    request: OnBindRequest, rooms: Mapping[str, ResidentRoom], signer: Signer, *, at: int
) -> tuple[Event | ExchangeRequest | MatrixError, ...] | MatrixError:
    """Make real invites of those that waited for a third-party identifier.

    Args:
        request: what the identity server sent.
        rooms: the rooms that this server is in, of those that the invites name.
        signer: this server's key.
        at: the time now, in milliseconds since 1970.

    Returns:
        For each of `request.invites`: the event to send, when this server is in the
        room; otherwise the request to send to the inviting server; or why not. Or the
        error to answer, when the user is not of this server.
    """
    if server_of(request.mxid) != signer.server_name:
        sentence = f"{request.mxid} is not a user of {signer.server_name}"
        return MatrixError.of("M_INVALID_PARAM", sentence)
    return tuple(_bound(invite, request.mxid, rooms, signer, at) for invite in request.invites)


def _bound(
    invite: PendingInvite, user: str, rooms: Mapping[str, ResidentRoom], signer: Signer, at: int
) -> Event | ExchangeRequest | MatrixError:
    if invite.mxid != user or invite.signed.get("mxid") != user:
        return MatrixError.of("M_INVALID_PARAM", f"the invite is not for {user}")
    room = rooms.get(invite.room_id)
    if room is None or room.state.is_partial:
        return exchange(invite)
    return redeem(invite, room, signer, at=at)


def redeem(
    invite: PendingInvite, room: ResidentRoom, signer: Signer, *, at: int
) -> Event | MatrixError:
    """Make a real invite in a room that the invited user's server is in itself.

    Args:
        invite: the pending invite.
        room: the room.
        signer: this server's key.
        at: the time now, in milliseconds since 1970.

    Returns:
        The invite to send, in the name of the one who invited; or why the rules
        reject it.
    """
    third_party = {"signed": invite.signed}
    return _invite(invite.mxid, invite.sender, third_party, room, signer, at=at)


def exchange(invite: PendingInvite, *, display_name: str | None = None) -> ExchangeRequest:
    """Ask the inviting server to make a real invite.

    Args:
        invite: the pending invite.
        display_name: what to call the user, who must not be given away by the
            address; without it, the user ID. The inviting server knows the name that
            stands in the room.
    """
    third_party = {"display_name": display_name or invite.mxid, "signed": invite.signed}
    event = {
        "type": "m.room.member",
        "room_id": invite.room_id,
        "sender": invite.sender,
        "state_key": invite.mxid,
        "content": {"membership": "invite", "third_party_invite": third_party},
    }
    return ExchangeRequest(invite.room_id, server_of(invite.mxid), freeze(event))


# ------------------------------------------------------------------------- both of them


def _invite(
    user: str,
    sender: str,
    third_party: Mapping[str, JsonValue],
    room: ResidentRoom,
    signer: Signer,
    *,
    at: int,
) -> Event | MatrixError:
    """The invite that an identity server's word allows, with the room's display name."""
    if room.state.membership_of(user) is JOIN:
        # The rules would allow it, and turn the member into somebody who is invited.
        return MatrixError.of("M_FORBIDDEN", f"{user} is joined already")
    kept = {name: third_party[name] for name in ("display_name", "signed") if name in third_party}
    signed = kept.get("signed")
    token = signed.get("token") if isinstance(signed, Mapping) else None
    stored = room.state.get(_STORED, token) if isinstance(token, str) else None
    if stored is not None and isinstance(stored.content.get("display_name"), str):
        kept["display_name"] = stored.content["display_name"]
    content = {"membership": "invite", "third_party_invite": kept}
    return _issued(room, signer, "m.room.member", user, sender=sender, content=content, at=at)


def _issued(
    room: ResidentRoom,
    signer: Signer,
    event_type: str,
    state_key: str,
    *,
    sender: str,
    content: Mapping[str, JsonValue],
    at: int,
) -> Event | MatrixError:
    """The event, signed, if the room can hold it and the rules allow it."""
    try:
        template = draft(room, event_type, state_key, sender=sender, content=content, at=at)
        event = template.complete(signer)
    except InvalidEvent as error:
        return MatrixError.of("M_BAD_JSON", str(error))
    decision = auth.check(event, room.state)
    return event if decision.allowed else MatrixError.forbidden(decision)
