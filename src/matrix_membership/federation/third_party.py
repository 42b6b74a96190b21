"""Third-party invites: inviting a user by an address, such as one of email.

1. The sender's server has an identity server store the invite, and puts the answer into
   the room: `store`.
2. When the address is bound to a user, the identity server tells that user's server.
   That server makes an invite of each pending one, itself or by asking the sender's
   server: `answer_on_bind`.
3. The sender's server checks the identity server's signature, and asks whether the key
   is still valid: `answer_exchange`, whose `AwaitingValidity` names what to ask.

In all functions `signer` is this server's key, and `at` the time now in milliseconds since
1970, for `origin_server_ts`. See `Third-party invites`__.

__ https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
"""

from __future__ import annotations

from collections.abc import Mapping
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
    "KeyValidity",
    "answer_exchange",
    "answer_on_bind",
    "exchange",
    "redeem",
    "revoke",
    "store",
]

_STORED = "m.room.third_party_invite"


# ------------------------------------------------------------------ the sender's server


def store(
    stored: StoredInvite, sender: str, room: ResidentRoom, signer: Signer, *, at: int
) -> Event | MatrixError:
    """Put an invite that an identity server stored into the room.

    Returns:
        The `m.room.third_party_invite` event to send; or the error to answer to the
        client.

    .. versionadded:: 0.1.0
    """
    content = content_of(stored)
    return _issued(room, signer, _STORED, stored.token, sender=sender, content=content, at=at)


def content_of(stored: StoredInvite) -> JsonObject:
    """Return the content of the `m.room.third_party_invite` event of a stored invite."""
    # Older servers read only the single key, so it must be a usable one.
    first = next((key for key in stored.public_keys if public_key_of(key)), JsonObject())
    legacy = {name: first[name] for name in ("public_key", "key_validity_url") if name in first}
    content: JsonObject = freeze(
        {**legacy, "display_name": stored.display_name, "public_keys": stored.public_keys}
    )
    return content


def revoke(
    token: str, sender: str, room: ResidentRoom, signer: Signer, *, at: int
) -> Event | MatrixError:
    """Revoke a third-party invite by an event without keys in its place.

    Every user who may invite may also revoke.

    Returns:
        The event to send; or the error to answer to the client.

    .. versionadded:: 0.1.0
    """
    current = room.state.get(_STORED, token)
    # Revoked already: another event would change nothing.
    if current is None or not current.content:
        return MatrixError.of("M_NOT_FOUND", "the room does not have this third-party invite")
    return _issued(room, signer, _STORED, token, sender=sender, content={}, at=at)


@frozen
class KeyValidity:
    """A question to the identity server: whether a key is still valid.

    Any user who may invite can choose the URL. Fetch it only from a network position
    without access to internal services.

    Attributes:
        url: the URL of the identity server's endpoint.
        public_key: the key, as it is written in the room.

    .. versionadded:: 0.1.0
    """

    url: str
    public_key: str

    @property
    def uri(self) -> str:
        """The URL to GET. The answer is an object with the key `valid`."""
        # A fragment is not sent: behind one, the question would reach the identity server without
        # the key.
        url = self.url.partition("#")[0]
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'public_key': self.public_key})}"


@frozen
class AwaitingValidity:
    """An invite with a good signature, whose keys may have been revoked since.

    Only this server asks. If all servers asked, at different times, they would disagree
    about the invite.

    Attributes:
        event: the invite, with the display name that the room holds.
        needs: the questions to ask. One positive answer is enough.
        is_settled: whether a key without a validity URL signed; then ask nothing.
    """

    event: Event
    needs: tuple[KeyValidity, ...]
    is_settled: bool = False

    def receive(self, answers: Mapping[KeyValidity, JsonValue]) -> Event | MatrixError:
        """Take the answers of the identity servers.

        Args:
            answers: the parsed answer to each of `needs`; None, or no entry, where
                there was no answer.

        Returns:
            The invite: offer it to the invited user's server (`invites.offer`), send it
            to the room, then answer the exchange with `{}`. Or the error to answer.

        Raises:
            LocalProtocolError: an answer belongs to none of `needs`.
        """
        asked = frozenset(self.needs)
        for question in answers:
            if question not in asked:
                raise LocalProtocolError("answers to needs", question)
        # One valid key is enough, as one good signature is for rule 4.4.1.8.
        said = (answer for answer in answers.values() if isinstance(answer, Mapping))
        if self.is_settled or any(answer.get("valid") is True for answer in said):
            return self.event
        return MatrixError.of("M_FORBIDDEN", "no key that signed is known to be still valid")


def answer_exchange(
    request: ExchangeRequest, room: ResidentRoom | None, signer: Signer, *, at: int
) -> AwaitingValidity | MatrixError:
    """Answer a request to make an invite of a third-party invite.

    Without a room, this server is not in it.

    Returns:
        The step with the questions to ask; or the error to answer. Cost: at most one
        Ed25519 verification for each key in the room's event.

    .. versionadded:: 0.1.0
    """
    if room is None or room.room_id != request.room_id or room.state.is_partial:
        return MatrixError.of(
            "M_NOT_FOUND", f"this server does not know the state of {request.room_id}"
        )
    fault = _fault(request)
    if fault:
        return MatrixError.of("M_INVALID_PARAM", f"the exchange was refused: {fault}")
    event = request.event
    sender, user = event["sender"], event["state_key"]
    if server_of(sender) != room.server_name:
        # The invited server accepts an invite only from its sender's server.
        return MatrixError.of("M_FORBIDDEN", f"{sender} is not a user of {room.server_name}")
    third_party = event["content"]["third_party_invite"]
    invite = _invite(user, sender, third_party, room, signer, at=at)
    if isinstance(invite, MatrixError):
        return invite
    signed = third_party["signed"]
    stored = room.state.get(_STORED, signed["token"])
    assert stored is not None  # noqa: S101 - the rules allowed the invite by it
    return _awaiting_validity(invite, stored, signed)


def _fault(request: ExchangeRequest) -> str:
    """Return the fault of an exchange that shows without the room; empty without one."""
    event = request.event
    content = event["content"]
    invite = content.get("third_party_invite")
    for wrong, sentence in (
        (event["type"] != "m.room.member", "its type is not m.room.member"),
        (event["room_id"] != request.room_id, "its room is not the one in the path"),
        (content.get("membership") != "invite", "its membership is not invite"),
        (not is_user_id(event["sender"]), "its sender is not a user ID"),
        (not is_user_id(event["state_key"]), "its state key is not a user ID"),
        (not isinstance(invite, Mapping), "it has no third_party_invite"),
    ):
        if wrong:
            return sentence
    return ""


def _awaiting_validity(invite: Event, stored: Event, signed: JsonObject) -> AwaitingValidity:
    listed = stored.content.get("public_keys")
    # The older form of an entry stands in the content itself.
    found = (stored.content, *(listed if isinstance(listed, (list, tuple)) else ()))
    entries = [(public_key_of(entry), entry) for entry in found if isinstance(entry, Mapping)]
    # A room event can repeat one key a thousand times; each is tried once.
    signers = {key for key in {key for key, _ in entries if key} if signed_by_key(signed, [key])}
    with_url = [
        (key, url, entry["public_key"])
        for key, entry in entries
        if key in signers and (url := entry.get("key_validity_url")) is not None
    ]
    # A user chooses the URL. With `file:` a careless program would read this server's own disk.
    needs = dict.fromkeys(
        KeyValidity(url, text)
        for _, url, text in with_url
        if isinstance(url, str) and url.startswith(("https://", "http://"))
    )
    # An entry without a URL must not make a key permanent that another entry can revoke.
    return AwaitingValidity(
        invite, tuple(needs), is_settled=bool(signers.difference(key for key, *_ in with_url))
    )


# ------------------------------------------------------------- the invited user's server


def answer_on_bind(
    request: OnBindRequest, rooms: Mapping[str, ResidentRoom], signer: Signer, *, at: int
) -> tuple[Event | ExchangeRequest | MatrixError, ...] | MatrixError:
    """Make invites of those that waited for a third-party identifier.

    `rooms` are those rooms of the invites that this server is in, by room ID.

    Returns:
        For each of `request.invites`, the invite to send if this server is in the room,
        else the request to send to the sender's server; or an error. For a user of
        another server, the error to answer. Cost: one signature for each invite to a room
        that this server is in.

    .. versionadded:: 0.1.0
    """
    if server_of(request.mxid) != signer.server_name:
        sentence = f"{request.mxid} is not a user of {signer.server_name}"
        return MatrixError.of("M_INVALID_PARAM", sentence)
    return tuple(_bound(invite, request.mxid, rooms, signer, at) for invite in request.invites)


def _bound(
    invite: PendingInvite, user: str, rooms: Mapping[str, ResidentRoom], signer: Signer, at: int
) -> Event | ExchangeRequest | MatrixError:
    # Three places name the user, and a signature covers the last only.
    if invite.mxid != user or invite.signed.get("mxid") != user:
        return MatrixError.of("M_INVALID_PARAM", f"the invite is not for {user}")
    room = rooms.get(invite.room_id)
    if room is None or room.state.is_partial:
        return exchange(invite)
    return redeem(invite, room, signer, at=at)


def redeem(
    invite: PendingInvite, room: ResidentRoom, signer: Signer, *, at: int
) -> Event | MatrixError:
    """Make an invite in a room that the invited user's server is in.

    Returns:
        The invite to send, with the sender of the third-party invite; or an error, when
        the rules reject it.

    .. versionadded:: 0.1.0
    """
    third_party = {"signed": invite.signed}
    return _invite(invite.mxid, invite.sender, third_party, room, signer, at=at)


def exchange(invite: PendingInvite, *, display_name: str | None = None) -> ExchangeRequest:
    """Return the request by which the sender's server makes an invite.

    The display name of the invited user must not reveal the address; None stands for the user
    ID. The sender's server replaces it by the name in the room.

    .. versionadded:: 0.1.0
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
    """Return the invite of what was signed, with the room's display name."""
    if room.state.membership_of(user) is JOIN:
        # The rules on third-party invites refuse only a banned user: a joined one would leave.
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
    """Return the signed event, if it is a valid PDU and the rules allow it."""
    try:
        template = draft(room, event_type, state_key, sender=sender, content=content, at=at)
        event = template.complete(signer)
    except InvalidEvent as error:
        return MatrixError.of("M_BAD_JSON", str(error))
    decision = auth.check(event, room.state)
    return event if decision.allowed else MatrixError.forbidden(decision)
