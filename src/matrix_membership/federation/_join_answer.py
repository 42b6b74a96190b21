"""The answer to send_join, the one message that can be too large for memory."""

# PDUs stay bytes from end to end. The server that answers sends what it stored, the one that reads
# keeps what it verified, and neither encodes an event again. That would cost time for each member,
# and could change the text of a float, which the hashes of versions 1 to 5 cover.

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, encode, read
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.events import Event
from matrix_membership.federation._splitting import ANSWER_BUDGET, AnswerBudget, Splitter
from matrix_membership.identifiers import is_server_name


@frozen
class SendJoinResponse:
    """The answer to send_join: the room before the join, and what authorises it.

    Attributes:
        state: the PDUs of the state before the join.
        auth_chain: the PDUs of the auth chains of the state and the join.
        event: the join, with the resident server's signature if it authorises the join; None
            if the answer has none.
        members_omitted: whether memberships were left out of the state.
        servers_in_room: the servers in the room before the join; None if the answer does not
            name them.
    """

    state: tuple[bytes, ...]
    auth_chain: tuple[bytes, ...]
    event: bytes | None = None
    members_omitted: bool = False
    servers_in_room: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        state: Iterable[Event],
        auth_chain: Iterable[Event],
        *,
        event: Event | None = None,
        servers_in_room: Iterable[str] | None = None,
    ) -> SendJoinResponse:
        """Make an answer of these events. It omits members if it names the servers."""
        return cls(
            tuple(entry.pdu for entry in state),
            tuple(entry.pdu for entry in auth_chain),
            None if event is None else event.pdu,
            # One argument says both: the specification requires the servers exactly when members
            # are omitted.
            servers_in_room is not None,
            None if servers_in_room is None else tuple(servers_in_room),
        )

    @classmethod
    def from_json(cls, body: JsonValue) -> SendJoinResponse:
        """Read the parsed answer; at v1, the pair of 200 and the object."""
        # Not strict: what the room version forbids has to reach the reader of the event, which names
        # it as the defect of this event. Refused here, one bad event would cost the whole answer.
        try:
            return cls.from_bytes(encode(body, strict=False))
        except InvalidJson as error:
            raise InvalidMessage("send_join answer", "JSON values", str(error)) from error

    @classmethod
    def from_bytes(cls, data: bytes, *, budget: AnswerBudget = ANSWER_BUDGET) -> SendJoinResponse:
        """Read the whole body at once.

        PDUs stay as they came; `examine` reads them and reports their defects. A reader from
        `AwaitingAcceptance.reader` needs less memory. Cost: linear, about one `json.loads`.

        Raises:
            InvalidMessage: the body has another form, or exceeds the budget.
        """
        found: dict[str, list[bytes]] = {"state": [], "auth_chain": [], "event": []}
        # The splitter of the reader that is fed in pieces, so that both take and refuse the same
        # answers.
        splitter = Splitter(lambda key, text, _: found[key].append(text.encode()), budget)
        splitter.feed(data)
        beside = beside_events(splitter.finish())
        event = next(iter(found["event"]), None)
        return cls(tuple(found["state"]), tuple(found["auth_chain"]), event, *beside)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the parsed body of the answer."""
        return dict(read(self.to_bytes(), strict=False)[0])

    def to_bytes(self) -> bytes:
        """Return the body of the answer, without encoding a PDU again."""
        parts = [
            b'"auth_chain":[' + b",".join(self.auth_chain) + b"]",
            b'"members_omitted":' + (b"true" if self.members_omitted else b"false"),
            b'"state":[' + b",".join(self.state) + b"]",
        ]
        if self.event is not None:
            parts.append(b'"event":' + self.event)
        if self.servers_in_room is not None:
            parts.append(b'"servers_in_room":' + encode(list(self.servers_in_room)))
        return b"{" + b",".join(parts) + b"}"


def beside_events(body: Mapping[str, JsonValue]) -> tuple[bool, tuple[str, ...] | None]:
    """Return `members_omitted` and `servers_in_room` of an answer to send_join."""
    # No other type counts as true or false: a text "false" would be true, and the state would lack
    # members whom nobody misses.
    omitted = body.get("members_omitted", False)
    if not isinstance(omitted, bool):
        raise InvalidMessage("send_join answer.members_omitted", "true or false", omitted)
    servers = body.get("servers_in_room")
    if servers is not None and not (
        isinstance(servers, (list, tuple)) and all(map(is_server_name, servers))
    ):
        raise InvalidMessage("send_join answer.servers_in_room", "server names", servers)
    return omitted, None if servers is None else tuple(servers)
