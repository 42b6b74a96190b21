"""Replay one attempt with one server, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from matrix_membership._attrs import evolve
from matrix_membership.errors import (
    InvalidEvent,
    InvalidIdentifier,
    InvalidMessage,
    RemoteProtocolError,
)
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation._shapes import unpaired
from matrix_membership.federation.diagnosis._case import Case, Findings
from matrix_membership.federation.diagnosis._exchange import Exchange, asking, user_of
from matrix_membership.federation.diagnosis._invites import invite_verdict
from matrix_membership.federation.diagnosis._join_answer import accepted, join_verdict
from matrix_membership.federation.diagnosis._refusals import refused
from matrix_membership.federation.diagnosis._sent_event import SentEvent, check_event
from matrix_membership.federation.diagnosis._story import Step, Verdict, verdict_of
from matrix_membership.federation.handshake import (
    JOINING,
    KNOCKING,
    AwaitingAcceptance,
    Handshake,
    Knocked,
)
from matrix_membership.federation.messages import (
    MakeResponse,
    MatrixError,
    SendKnockResponse,
    SendLeaveResponse,
)
from matrix_membership.identifiers import (
    ServerName,
    is_room_id,
    is_user_id,
    read_user_id,
    server_of,
)
from matrix_membership.membership import LEAVE
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import KeyRing, Signer
from matrix_membership.state import RoomState

_SEED: Final = "A" * 43
"""The seed of a key that signs stand-ins for events that the record does not have."""


# After these a server sends the request again, or asks at the older endpoint.
_TRIED_AGAIN: Final = ("", "no_endpoint", "rate_limited", "server_failed", "unreachable")


class Replay:
    """Replays the exchanges of one attempt. Used once."""

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        keys: KeyRing,
        state: RoomState | None,
        version: RoomVersion | None,
    ) -> None:
        self.exchanges = exchanges
        self.keys = keys
        self.state = state
        self.version = version
        self.user = next(filter(None, map(user_of, exchanges)), "")
        self.template: EventTemplate | None = None
        self.awaiting: AwaitingAcceptance | None = None
        self.steps: list[Step] = []
        self.events: tuple[Event, ...] = ()

    def run(self) -> Verdict:
        """Go through all exchanges; return the verdict of the one that decided."""
        verdict: Verdict | None = None
        for exchange in self.exchanges:
            found = Findings()
            case = self.case(exchange)
            told = self.step(case, found)
            self.steps.append(
                Step(exchange, title_of(case), reply_of(exchange), tuple(found.found))
            )
            if verdict is None or verdict.cause in _TRIED_AGAIN:
                verdict = told or verdict
            # The first fault stands, also if the asking server put up with it.
            elif told is not None and told.succeeded:
                verdict = evolve(verdict, succeeded=True)
        if verdict is not None:
            return verdict
        missing = ["the request that sends the signed event, and its answer"]
        sentence = "the record ends after a good template"
        return verdict_of("unfinished", sentence, succeeded=None, missing=missing)

    def case(self, exchange: Exchange) -> Case:
        """Gather the data about an exchange."""
        version = KNOWN.get(exchange.room_version) or self.version
        return Case(
            exchange,
            asking(exchange) or (server_of(self.user) if exchange.handshake else ""),
            exchange.destination,
            self.user,
            self.keys,
            self.state,
            version,
        )

    def step(self, case: Case, found: Findings) -> Verdict | None:
        """Check one exchange; return a verdict if it decides."""
        exchange = case.exchange
        if exchange.handshake is None:
            verdict, self.events = invite_verdict(case, found)
            return verdict
        if exchange.makes:
            return self.made(case, exchange.handshake, found)
        return self.sent(case, exchange.handshake, found)

    # ------------------------------------------------------------------ make_*

    def made(self, case: Case, handshake: Handshake, found: Findings) -> Verdict | None:
        """Check a request for a template, and the answer."""
        wrong = _bad_request(case, handshake, found)
        ended = _no_answer(case)
        if ended is not None:
            return ended
        exchange = case.exchange
        if not exchange.succeeded:
            error = MatrixError.from_json(exchange.answer, status=exchange.status or 0)
            verdict = refused(case, error, None, found)
            # A server may name a fault of the request in other words, so that fault comes first.
            return wrong if wrong is not None and verdict.cause in _LESS_PLAIN else verdict
        try:
            answer = MakeResponse.from_json(exchange.answer)
        except InvalidMessage as error:
            found.wrong(f"form of the answer: {error}")
            return verdict_of("malformed_answer", f"{case.answerer} answered nonsense: {error}")
        return self.templated(case, handshake, answer, found)

    def templated(
        self, case: Case, handshake: Handshake, answer: MakeResponse, found: Findings
    ) -> Verdict | None:
        """Take the template as a joining server does."""
        named = answer.room_version or ("" if handshake is KNOCKING else "1")
        versions = _offered(case, handshake, named)
        if self.version is not None and named != self.version.identifier:
            found.wrong(f"room version {named!r}, where the room has version {self.version}")
            sentence = f"{case.answerer} named another room version: {named!r}"
            return verdict_of("bad_template", sentence)
        if named in versions and named not in KNOWN:
            missing = f"the rules of room version {named}"
            found.unchecked("template", missing)
            return verdict_of("unreadable", "the room version is not known here", missing=[missing])
        try:
            self.awaiting = _completed(case, handshake, answer, versions)
        except (InvalidIdentifier, RemoteProtocolError) as error:
            found.wrong(f"template: {error}")
            return verdict_of("bad_template", f"{case.answerer} gave a bad template: {error}")
        found.good(f"template for what was asked, of room version {named}")
        self.version = self.awaiting.event.room_version
        self.template = EventTemplate.of(answer.event, self.version)
        return None

    # ------------------------------------------------------------------ send_*

    def sent(self, case: Case, handshake: Handshake, found: Findings) -> Verdict | None:
        """Check a signed event, and the answer to it."""
        exchange = case.exchange
        if case.version is None:
            self.version = _version_in(exchange)
            case = self.case(exchange)
        sent = SentEvent(None)
        if exchange.request is not None or exchange.is_whole:
            sent = check_event(exchange.request, case, found, self.template)
        self.events = () if sent.event is None else (sent.event,)
        elsewhere = self.wrong_destination(case, sent, found)
        ended = _no_answer(case)
        if ended is not None:
            return ended
        if not exchange.succeeded:
            error = MatrixError.from_json(exchange.answer, status=exchange.status or 0)
            verdict = refused(case, error, sent.event, found)
            return _with_faults(verdict, (*sent.faults, *elsewhere))
        if handshake is JOINING:
            stand_in = None if self.awaiting is None else self.awaiting.event
            faults = (*sent.faults, *elsewhere)
            verdict, self.events = join_verdict(case, sent.event, stand_in, faults, found)
            return verdict
        return self.answered(case, handshake, sent, found)

    def wrong_destination(
        self, case: Case, sent: SentEvent, found: Findings
    ) -> tuple[tuple[str, str], ...]:
        """Tell whether a restricted join went to another server than the authorising one."""
        via = None if sent.event is None else sent.event.authorised_via
        if not via or not case.answering or server_of(via) == case.answering:
            return ()
        sentence = f"{via} authorises the join, and it was sent to {case.answering}"
        found.wrong(sentence)
        return (("wrong_destination", sentence),)

    def answered(
        self, case: Case, handshake: Handshake, sent: SentEvent, found: Findings
    ) -> Verdict:
        """Check the answer to a knock or leave."""
        knocks = handshake is KNOCKING
        read = SendKnockResponse.from_json if knocks else SendLeaveResponse.from_json
        try:
            answer = read(case.exchange.answer)
        except InvalidMessage as error:
            found.wrong(f"form of the answer: {error}")
            return verdict_of("malformed_answer", f"{case.answerer} answered nonsense: {error}")
        found.good("form of the answer")
        faults = list(sent.faults)
        if isinstance(answer, SendKnockResponse):
            faults += self.described(case, answer, sent.event or self.from_template(found), found)
        return accepted(case, faults, found)

    def described(
        self, case: Case, answer: SendKnockResponse, knock: Event | None, found: Findings
    ) -> list[tuple[str, str]]:
        """Check the events that describe the room to the user who knocks."""
        if knock is None:
            found.unchecked("knock_room_state", "the knock that was sent")
            return []
        knocked = Knocked(knock, answer.knock_room_state, ServerName(case.answering))
        absent = self.keys.missing(knocked.needs, at=knock.origin_server_ts)
        for name, ids in absent.items():
            missing = f"the key {name} {' '.join(sorted(ids))}"
            found.unchecked(f"signatures of {name} in knock_room_state", missing)
        faults = []
        for fault in knocked.examined(self.keys)[1]:
            # The missing data was named above.
            if "no key is known" not in fault.error:
                found.wrong(fault.error)
                faults.append(("knock_state", fault.error))
        return faults

    def from_template(self, found: Findings) -> Event | None:
        """Return an event made from the template, for one that the record does not have."""
        if self.awaiting is None:
            return None
        sentence = "the event that was sent: one made from the template stands for it"
        found.unchecked(sentence, "the event that was sent")
        return self.awaiting.event


# The errors that a server may give to a request with a fault of its own.
_LESS_PLAIN: Final = ("forbidden", "refused", "room_unknown", "rules_forbid", "server_acl")


def _with_faults(verdict: Verdict, faults: Sequence[tuple[str, str]]) -> Verdict:
    """Prefer a fault of the event to the server's own words for it."""
    says_itself = ("no_endpoint", "server_failed", "rate_limited", "version_unsupported")
    if not faults or verdict.cause in says_itself:
        return verdict
    cause, sentence = faults[0]
    return verdict_of(cause, sentence, decision=verdict.decision)


def _no_answer(case: Case) -> Verdict | None:
    if case.exchange.status is not None:
        return None
    why = case.exchange.answer
    said = f": {why}" if isinstance(why, str) else ""
    missing = [f"why {case.answerer} did not answer"] if not said else []
    return verdict_of("unreachable", f"{case.answerer} did not answer{said}", missing=missing)


def _bad_request(case: Case, handshake: Handshake, found: Findings) -> Verdict | None:
    """Check the path and query of a request for a template."""
    exchange = case.exchange
    if not exchange.is_whole:
        return None
    if not is_room_id(exchange.room_id) or not is_user_id(exchange.last):
        sentence = (
            f"the request names {exchange.room_id!r} and {exchange.last!r}, not a room and a user"
        )
        found.wrong(sentence)
        return verdict_of("request_malformed", sentence)
    if exchange.origin and server_of(exchange.last) != exchange.origin:
        sentence = f"{exchange.last} is not a user of {exchange.origin}"
        found.wrong(sentence)
        return verdict_of("not_own_user", sentence)
    found.good("room and user of the request")
    if handshake.membership is not LEAVE and not exchange.query:
        found.wrong("no room version is offered, which stands for version 1")
    return None


def _version_in(exchange: Exchange) -> RoomVersion | None:
    """Return the room version that the create event in an answer to a join names."""
    body = unpaired(exchange.answer)
    state = body.get("state") if isinstance(body, Mapping) else None
    for event in state if isinstance(state, (list, tuple)) else ():
        if isinstance(event, Mapping) and event.get("type") == "m.room.create":
            content = event.get("content")
            named = content.get("room_version", "1") if isinstance(content, Mapping) else None
            version = KNOWN.get(named) if isinstance(named, str) else None
            return version if version is None or _fits(exchange, version) else None
    return None


def _fits(exchange: Exchange, version: RoomVersion) -> bool:
    """Tell whether the event that was sent has its ID by this version.

    The answering server may lie about the version. By a wrong one, the asking server would seem to
    have sent another event than the path says.
    """
    if not isinstance(exchange.request, Mapping):
        return not exchange.is_whole
    try:
        return Event.from_pdu(exchange.request, version).event_id == exchange.last
    except InvalidEvent:
        return False


def title_of(case: Case) -> str:
    """Return who asks whom for what."""
    user = case.user or "a user"
    what = {
        "make_join": f"for a join of {user}",
        "make_knock": f"for a knock of {user}",
        "make_leave": f"for a leave of {user}",
        "invite": f"to sign the invite of {user}",
    }.get(case.exchange.endpoint)
    if what is not None:
        return f"{case.asker} asks {case.answerer} {what}"
    return f"{case.asker} sends the signed event of {user} to {case.answerer}"


def reply_of(exchange: Exchange) -> str:
    """Return an answer in a few words."""
    if exchange.status is None:
        return f"none: {exchange.answer}" if isinstance(exchange.answer, str) else "none"
    if exchange.succeeded:
        return str(exchange.status)
    return str(MatrixError.from_json(exchange.answer, status=exchange.status))


def _offered(case: Case, handshake: Handshake, named: str) -> frozenset[str]:
    """Return the room versions that the request offers, as far as the record tells."""
    # make_leave has no `ver`: a server that leaves need not know the version.
    if handshake.membership is LEAVE or not case.exchange.is_whole:
        return frozenset({*KNOWN, named})
    return frozenset(value for name, value in case.exchange.query if name == "ver") or _DEFAULT


_DEFAULT: Final = frozenset({"1"})


def _completed(
    case: Case, handshake: Handshake, answer: MakeResponse, versions: Iterable[str]
) -> AwaitingAcceptance:
    """Complete a template as the asking server should, signed by a stand-in."""
    user = read_user_id(case.user)
    begun = handshake.begin(
        user,
        case.exchange.room_id or str(answer.event.get("room_id")),
        signer=Signer.from_seed(server_of(user), "ed25519:stand_in", _SEED),
        resident=case.answering,
        room_versions={name: KNOWN[name] for name in versions if name in KNOWN},
    )
    at = answer.event.get("origin_server_ts")
    after = begun.receive(answer, at=at if at.__class__ is int else 0)
    # Only an error leads to another step.
    assert isinstance(after, AwaitingAcceptance)  # noqa: S101 - for the type checker
    return after
