"""Judge an error answer: its truth, and the side at fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from matrix_membership import auth, conformance
from matrix_membership.advice.may import Permission, may
from matrix_membership.errors import IncompleteState, InvalidMessage, MatrixMembershipError
from matrix_membership.events import Event
from matrix_membership.federation.diagnosis._case import Case
from matrix_membership.federation.diagnosis._causes import Side
from matrix_membership.federation.diagnosis._sent_event import supposed
from matrix_membership.federation.diagnosis._story import Diagnosis
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.identifiers import is_user_id
from matrix_membership.membership import INVITE, JOIN, KNOCK
from matrix_membership.receipt.server_acl import permits
from matrix_membership.restricted import rooms_to_check, servers_that_can_authorise
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState


def ended(case: Case) -> Diagnosis | None:
    """Say why the request has no good answer; None if it has one.

    The faults of the event are known to explain nothing: they come first.
    """
    exchange = case.exchange
    if exchange.status is None:
        why = f": {exchange.answer}" if isinstance(exchange.answer, str) else ""
        missing = [f"why {case.answerer} did not answer"] if not why else []
        return Diagnosis.of("unreachable", f"{case.answerer} did not answer{why}", missing=missing)
    if exchange.succeeded:
        return None
    error = exchange.error
    if error.means_unknown_endpoint:
        return Diagnosis.of("no_endpoint", f"{case.answerer} does not know {exchange.endpoint}")
    if error.status not in range(400, 500):
        return Diagnosis.of("server_failed", f"{case.answerer} failed: {error}")
    # The code says more than the status, except that any 429 asks for patience.
    told = _BY_STATUS[429] if error.status == _TOO_MANY else _BY_CODE.get(error.errcode)
    told = told or _BY_STATUS.get(error.status, _for_other_reasons)
    return told(case)


def with_faults(ended: Diagnosis, faults: Sequence[tuple[str, str]]) -> Diagnosis:
    """Prefer a fault of the event to the server's own words for it."""
    if not faults or ended.cause in _SAYS_ITSELF:
        return ended
    return Diagnosis.of(*faults[0], decision=ended.decision)


# The answer names these causes itself: a fault of the event explains none of them.
_SAYS_ITSELF: Final = (
    "no_endpoint",
    "rate_limited",
    "server_failed",
    "unreachable",
    "version_unsupported",
)


def _lacking(case: Case) -> str:
    """Return the data that the rules lack to judge the move."""
    if case.state is None:
        return "the state of the room, as the answering server has it"
    if not is_user_id(case.user):
        return "the request, which names the user"
    return "the name of the answering server"


_TOO_MANY: Final = 429


def _for_other_reasons(case: Case) -> Diagnosis:
    error = case.exchange.error
    missing = [f"the reason of {case.answerer}: {error}", *case.found.missing]
    return Diagnosis.of("refused", f"{case.answerer} refused: {error}", missing=missing)


def _too_often(case: Case) -> Diagnosis:
    return Diagnosis.of("rate_limited", f"{case.answerer} was asked too often")


def _unauthorised(case: Case) -> Diagnosis:
    """Judge a 401: check the signature of the request, if the record has it."""
    exchange, sentence = case.exchange, f"{case.answerer} did not take the request for signed"
    if not exchange.authorization:
        missing = "the Authorization header of the request"
        case.found.unchecked("signature of the request", missing)
        return Diagnosis.of("request_unsigned", sentence, missing=[missing])
    try:
        signed = Authorization.read(exchange.authorization)
    except InvalidMessage as error:
        case.found.wrong(f"the Authorization header cannot be read: {error}")
        return Diagnosis.of("request_unsigned", f"{sentence}: {error}", fault=Side.ASKING)
    absent = case.keys.missing(signed.needs, at=0)
    if absent:
        names = [f"the key {name} {' '.join(sorted(ids))}" for name, ids in absent.items()]
        case.found.unchecked("signature of the request", names[0])
        return Diagnosis.of("request_unsigned", sentence, missing=names)
    refusal = signed.verify(
        exchange.method,
        exchange.uri,
        exchange.request,
        server_name=case.answering,
        keys=case.keys,
        at=0,
    )
    if refusal is not None:
        case.found.wrong(f"signature of the request: {refusal.error}")
        return Diagnosis.of("request_unsigned", refusal.error, fault=Side.ASKING)
    case.found.good("signature of the request")
    # By the keys that were given: the answering server may know other ones.
    more = f"the keys of {case.asker} that {case.answerer} knows"
    return Diagnosis.of("request_unsigned", f"{sentence}, and it is", missing=[more])


def _unknown_room(case: Case) -> Diagnosis:
    sentence = f"{case.answerer} says that it does not know the room: {case.exchange.error.error}"
    servers: frozenset[str] | None = None
    with suppress(IncompleteState):
        servers = case.state.servers_in_room if case.state is not None else None
    if servers is None or not case.answering:
        return Diagnosis.of("room_unknown", sentence, missing=["which servers are in the room"])
    others = sorted(servers - {case.answering, case.asking})
    if case.answering in servers:
        case.found.wrong(f"{case.answering} is in the room, by the state given")
        return Diagnosis.of("room_unknown", sentence, fault=Side.ANSWERING, servers=others)
    case.found.wrong(f"{case.answering} is not in the room, by the state given")
    sentence = f"{case.answering} is not in the room"
    return Diagnosis.of("room_unknown", sentence, fault=Side.ASKING, servers=others)


def _other_version(case: Case) -> Diagnosis:
    named = case.exchange.error.extra.get("room_version")
    version = named if isinstance(named, str) else case.version and case.version.identifier
    if case.membership is INVITE:
        sentence = f"{case.answerer} does not support room version {version}"
        return Diagnosis.of("version_unsupported", sentence)
    offered = [value for name, value in case.exchange.query if name == "ver"] or ["1"]
    # Only the request for a template offers versions.
    if version is None or not case.exchange.is_whole or not case.exchange.makes:
        missing = "the version of the room" if version is None else "the request with its `ver`"
        sentence = f"{case.answerer} says that the room version was not offered"
        fault = Side.UNKNOWN
        return Diagnosis.of("version_not_offered", sentence, fault=fault, missing=[missing])
    if version in offered:
        sentence = f"{case.answerer} refused room version {version}, which was offered"
        return Diagnosis.of("version_refused", case.found.wrong(sentence))
    case.found.wrong(f"the request offers {', '.join(offered)}, the room has version {version}")
    sentence = f"{case.asker} did not offer room version {version}"
    return Diagnosis.of("version_not_offered", sentence)


def _cannot_authorise(case: Case) -> Diagnosis:
    """Judge a server that says that it cannot authorise a restricted join."""
    grant = case.exchange.error.errcode == "M_UNABLE_TO_GRANT_JOIN"
    cause = "cannot_grant" if grant else "cannot_authorise"
    why = "has no user who may let others in" if grant else "cannot look into the other rooms"
    sentence = f"{case.answerer} {why}"
    if case.state is None or not is_user_id(case.user) or not case.answering:
        return Diagnosis.of(cause, sentence, fault=Side.UNKNOWN, missing=[_lacking(case)])
    try:
        rooms, able = rooms_to_check(case.state), servers_that_can_authorise(case.state)
    except IncompleteState as incomplete:
        missing = [incomplete.missing]
        return Diagnosis.of(cause, sentence, fault=Side.UNKNOWN, missing=missing)
    others = [server for server in able if server not in (case.answering, case.asking)]
    answer = may(case.user, case.state).join()
    if not answer.unknown and not answer:
        return _by_rules(case, answer)
    if not rooms or answer:
        case.found.wrong("the join needs nobody who authorises it, by the state given")
        sentence = (
            f"{case.answerer} answered as for a restricted room, which it is not for this user"
        )
        return Diagnosis.of("grant_refused", sentence)
    if grant and case.answering in able:
        case.found.wrong(f"{case.answering} has a joined user who may invite, by the state given")
        sentence = f"{case.answering} could authorise the join, and says that it cannot"
        return Diagnosis.of("grant_refused", sentence, servers=others)
    case.found.good(f"servers that can authorise the join: {', '.join(able)}")
    return Diagnosis.of(cause, sentence, servers=others)


def _invite_blocked(case: Case) -> Diagnosis:
    sentence = f"{case.user or 'the invited user'} does not take invites of this sender"
    return Diagnosis.of("invite_blocked", sentence)


def _forbidden(case: Case) -> Diagnosis:
    """Judge a refusal by the rules, if the state is at hand."""
    state = case.state
    said = f"{case.answerer} forbids it: {case.exchange.error.error}"
    if state is None or not is_user_id(case.user):
        missing = [_lacking(case), *case.found.missing]
        return Diagnosis.of("forbidden", said, missing=missing)
    permitted = True
    with suppress(IncompleteState):
        permitted = not case.asking or permits(state, case.asking)
    if not permitted:
        acl = state.get("m.room.server_acl")
        blamed = "" if acl is None else acl.event_id
        sentence = f"the access control list of the room denies {case.asking}"
        return Diagnosis.of("server_acl", case.found.wrong(sentence), event_id=blamed)
    return _by_rules(case, _question(case, state))


def _question(case: Case, state: RoomState) -> Permission:
    """Ask the rules about the event, or about the one that the request is for."""
    if case.event is not None and (case.membership is INVITE or case.event.authorised_via):
        judged = supposed(case.event)
        return Permission(judged, state, auth.check(judged, state))
    asked = may(case.user, state)
    if case.membership is JOIN:
        return asked.join()
    return asked.knock() if case.membership is KNOCK else asked.leave()


def _by_rules(case: Case, answer: Permission) -> Diagnosis:
    error = case.exchange.error
    said = f"{case.answerer} refused: {error.error or error.errcode}"
    if answer.unknown:
        case.found.unchecked("rules", str(answer))
        return Diagnosis.of("forbidden", said, missing=[str(answer)])
    if answer:
        return _though_allowed(case, answer, said)
    case.found.wrong(f"rules, by the state given: {answer}", answer.event.event_id)
    explanation = auth.explain(answer.event, answer.state)
    blamed = _blamed(explanation)
    sentence = f"the rules forbid it: {answer.objection or answer.decision}"
    return Diagnosis.of("rules_forbid", sentence, event_id=blamed, explanation=explanation)


def _blamed(explanation: auth.Explanation) -> str:
    """Return the state event that decided: the last one that the deciding rule read."""
    places = explanation.steps[-1].read
    found = [
        event.event_id
        for event in explanation.evidence
        if event.event_id and (event.type, event.state_key) in places
    ]
    return found[-1] if found else ""


def _though_allowed(case: Case, answer: Permission, said: str) -> Diagnosis:
    """Judge a refusal of an allowed move: others may read the rules differently."""
    case.found.good(f"rules, by the state given: {answer}", answer.event.event_id)
    by_others = _as_synapse(answer)
    if by_others is not None and not by_others.allowed:
        case.found.wrong(f"as Synapse judges: {by_others}")
        sentence = f"{said}; the specification allows it, and servers that judge as Synapse do not"
        return Diagnosis.of("judged_differently", sentence, decision=by_others)
    missing = [
        f"the reason of {case.answerer}: its log, its policies, and whether its state is the one given",
        *case.found.missing,
    ]
    sentence = f"{said}; the rules allow it, by the state given"
    return Diagnosis.of("forbidden", sentence, missing=missing, decision=answer.decision)


def _as_synapse(answer: Permission) -> auth.Decision | None:
    """Judge once more, as the page on conformance says that Synapse does."""
    try:
        version = conformance.compatible(answer.state.room_version, *conformance.SYNAPSE)
        state = RoomState.of(version, [_read_as(event, version) for event in answer.state.events])
        return auth.check(_read_as(answer.event, version), state)
    except MatrixMembershipError:  # a state over a look-up, or with members left out
        return None


def _read_as(event: Event, version: RoomVersion) -> Event:
    fields = event.to_pdu() if event.pdu else event.to_client_event()
    read = Event.from_pdu if event.pdu else Event.from_client_event
    return read(fields, version).with_signers(event.signed_by)


_Refusal = Callable[[Case], Diagnosis]

_BY_CODE: Final[Mapping[str, _Refusal]] = MappingProxyType(
    {
        "M_INCOMPATIBLE_ROOM_VERSION": _other_version,
        "M_UNSUPPORTED_ROOM_VERSION": _other_version,
        "M_UNABLE_TO_AUTHORISE_JOIN": _cannot_authorise,
        "M_UNABLE_TO_GRANT_JOIN": _cannot_authorise,
        "M_INVITE_BLOCKED": _invite_blocked,
        "M_LIMIT_EXCEEDED": _too_often,
    }
)
# Servers answer with several codes when the rules reject: a guest may be told so, for one.
_BY_STATUS: Final[Mapping[int, _Refusal]] = MappingProxyType(
    {401: _unauthorised, 403: _forbidden, 404: _unknown_room, 429: _too_often}
)
