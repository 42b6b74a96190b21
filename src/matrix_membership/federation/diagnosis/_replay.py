"""Replay one attempt with one server, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from matrix_membership._attrs import evolve
from matrix_membership.errors import InvalidEvent, InvalidIdentifier, RemoteProtocolError
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation._shapes import unpaired
from matrix_membership.federation.diagnosis._case import Case, Findings
from matrix_membership.federation.diagnosis._exchange import Exchange, asking, user_of
from matrix_membership.federation.diagnosis._invites import invite_diagnosis
from matrix_membership.federation.diagnosis._join_answer import accepted, join_diagnosis
from matrix_membership.federation.diagnosis._refusals import ended, with_faults
from matrix_membership.federation.diagnosis._sent_event import check_event
from matrix_membership.federation.diagnosis._story import Diagnosis, Step
from matrix_membership.federation.handshake import (
    JOINING,
    KNOCKING,
    AwaitingAcceptance,
    Handshake,
    Knocked,
)
from matrix_membership.federation.messages import (
    MakeResponse,
    SendKnockResponse,
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

    def run(self) -> Diagnosis:
        """Go through all exchanges; return the diagnosis by the one that decided."""
        told: Diagnosis | None = None
        for exchange in self.exchanges:
            case = self.case(exchange)
            found = self.step(case)
            findings = tuple(case.found.all)
            self.steps.append(Step(exchange, case.title, exchange.reply, findings))
            # Not `found or told`: the diagnosis of a failure is false.
            if told is None or (found is not None and told.cause in _TRIED_AGAIN):
                told = found
            # The first fault stands, also if the asking server put up with it.
            elif found is not None and found.succeeded:
                told = evolve(told, succeeded=True)
        if told is None:
            missing = ["the request that sends the signed event, and its answer"]
            sentence = "the record ends after a good template"
            told = Diagnosis.of("unfinished", sentence, succeeded=None, missing=missing)
        return evolve(
            told,
            asking=next(filter(None, map(asking, self.exchanges)), "") or self.server_of_user,
            answering=self.exchanges[-1].destination,
            steps=tuple(self.steps),
            events=self.events,
        )

    @property
    def server_of_user(self) -> str:
        """The server of the user; empty if it is not known."""
        return server_of(self.user) if ":" in self.user else ""

    def case(self, exchange: Exchange) -> Case:
        """Gather the data about an exchange."""
        return Case(
            exchange,
            asking(exchange) or (server_of(self.user) if exchange.handshake else ""),
            exchange.destination,
            self.user,
            self.keys,
            self.state,
            KNOWN.get(exchange.room_version) or self.version,
            Findings(),
            self.template,
        )

    def step(self, case: Case) -> Diagnosis | None:
        """Check one exchange; return a diagnosis if it decides."""
        if case.handshake is None:
            told, self.events = invite_diagnosis(case)
            return told
        if case.exchange.makes:
            return self.made(case, case.handshake)
        return self.sent(case, case.handshake)

    # ------------------------------------------------------------------ make_*

    def made(self, case: Case, handshake: Handshake) -> Diagnosis | None:
        """Check a request for a template, and the answer."""
        wrong = _bad_request(case)
        failed = ended(case)
        if failed is not None:
            # A server may name a fault of the request in other words, so that fault comes first.
            return wrong if wrong is not None and failed.cause in _LESS_PLAIN else failed
        answer = case.read(MakeResponse.from_json)
        return answer if isinstance(answer, Diagnosis) else self.templated(case, handshake, answer)

    def templated(self, case: Case, handshake: Handshake, answer: MakeResponse) -> Diagnosis | None:
        """Take the template as a joining server does."""
        named = answer.room_version or ("" if handshake is KNOCKING else "1")
        versions = _offered(case, handshake, named)
        if self.version is not None and named != self.version.identifier:
            case.found.wrong(f"room version {named!r}, where the room has version {self.version}")
            sentence = f"{case.answerer} named another room version: {named!r}"
            return Diagnosis.of("bad_template", sentence)
        if named in versions and named not in KNOWN:
            missing = f"the rules of room version {named}"
            case.found.unchecked("template", missing)
            sentence = "the room version is not known here"
            return Diagnosis.of("unreadable", sentence, missing=[missing])
        try:
            self.awaiting = _completed(case, handshake, answer, versions)
        except (InvalidIdentifier, RemoteProtocolError) as error:
            case.found.wrong(f"template: {error}")
            return Diagnosis.of("bad_template", f"{case.answerer} gave a bad template: {error}")
        case.found.good(f"template for what was asked, of room version {named}")
        self.version = self.awaiting.event.room_version
        self.template = EventTemplate.of(answer.event, self.version)
        return None

    # ------------------------------------------------------------------ send_*

    def sent(self, case: Case, handshake: Handshake) -> Diagnosis:
        """Check a signed event, and the answer to it."""
        exchange = case.exchange
        if case.version is None:
            self.version = _version_in(exchange)
            case = evolve(case, version=self.version)
        if exchange.request is not None or exchange.is_whole:
            case = check_event(case, exchange.request)
        self.events = () if case.event is None else (case.event,)
        judged = evolve(case, faults=(*case.faults, *_wrong_destination(case)))
        failed = ended(case)
        if failed is not None:
            return with_faults(failed, judged.faults)
        made = None if self.awaiting is None else self.awaiting.event
        if handshake is JOINING:
            told, self.events = join_diagnosis(judged, made)
            return told
        answer = case.read(handshake.response.from_json)
        if isinstance(answer, Diagnosis):
            return answer
        case.found.good("form of the answer")
        if isinstance(answer, SendKnockResponse):
            faults = _described(case, answer, made)
            case = evolve(case, faults=(*case.faults, *faults))
        return accepted(case)


# The errors that a server may give to a request with a fault of its own.
_LESS_PLAIN: Final = ("forbidden", "refused", "room_unknown", "rules_forbid", "server_acl")


def _wrong_destination(case: Case) -> tuple[tuple[str, str], ...]:
    """Tell whether a restricted join went to another server than the authorising one."""
    via = None if case.event is None else case.event.authorised_via
    if not via or not case.answering or server_of(via) == case.answering:
        return ()
    sentence = f"{via} authorises the join, and it was sent to {case.answering}"
    return (("wrong_destination", case.found.wrong(sentence)),)


def _described(
    case: Case, answer: SendKnockResponse, made: Event | None
) -> Iterator[tuple[str, str]]:
    """Check the events that describe the room to the user who knocks.

    A knock that was `made` from the template stands in for one that the record does not have.
    """
    knock, found = case.event or made, case.found
    if knock is None:
        found.unchecked("knock_room_state", "the knock that was sent")
        return
    if case.event is None:
        sentence = "the event that was sent: one made from the template stands for it"
        found.unchecked(sentence, "the event that was sent")
    knocked = Knocked(knock, answer.knock_room_state, ServerName(case.answering))
    absent = case.keys.missing(knocked.needs, at=knock.origin_server_ts)
    found.lack_keys(absent, "signatures of {server} in knock_room_state")
    for fault in knocked.examined(case.keys)[1]:
        # The missing data was named above.
        if "no key is known" not in fault.error:
            yield "knock_state", found.wrong(fault.error)


def _bad_request(case: Case) -> Diagnosis | None:
    """Check the path and query of a request for a template."""
    exchange, found = case.exchange, case.found
    if not exchange.is_whole:
        return None
    if not is_room_id(exchange.room_id) or not is_user_id(exchange.last):
        sentence = (
            f"the request names {exchange.room_id!r} and {exchange.last!r}, not a room and a user"
        )
        return Diagnosis.of("request_malformed", found.wrong(sentence))
    if exchange.origin and server_of(exchange.last) != exchange.origin:
        sentence = f"{exchange.last} is not a user of {exchange.origin}"
        return Diagnosis.of("not_own_user", found.wrong(sentence))
    found.good("room and user of the request")
    if case.membership is not LEAVE and not exchange.query:
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
