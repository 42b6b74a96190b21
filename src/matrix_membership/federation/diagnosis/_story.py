"""A diagnosis: the story of a handshake, its cause, and what would help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision, Explanation
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.federation.diagnosis._causes import CAUSES, Help, Side
from matrix_membership.federation.diagnosis._exchange import Exchange


@frozen
class Finding:
    """One thing that was checked.

    Attributes:
        good: the result; None if it could not be checked.
        sentence: the check and its outcome.
        event_id: the event that it is about; empty for a whole message.
    """

    good: bool | None
    sentence: str
    event_id: str = ""

    def __str__(self) -> str:
        mark = {True: "ok", False: "wrong", None: "unchecked"}[self.good]
        event = f" {self.event_id}" if self.event_id else ""
        return f"{mark:<9} {self.sentence}{event}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return it as a JSON object."""
        return {"good": self.good, "text": self.sentence, "event_id": self.event_id or None}


MOST_SHOWN: Final = 40
"""The most findings that a page shows of one exchange: an answer can have 100,000 defects."""


@frozen
class Step:
    """One exchange of the story.

    Attributes:
        exchange: the request and the answer.
        title: the servers and the move, for people.
        reply: the answer in a few words.
        findings: the checks of both.
    """

    exchange: Exchange
    title: str
    reply: str
    findings: tuple[Finding, ...]

    @property
    def shown(self) -> tuple[Finding, ...]:
        """The findings that a page for people shows; the last one counts the others."""
        more = len(self.findings) - MOST_SHOWN
        if more <= 0:
            return self.findings
        return (*self.findings[:MOST_SHOWN], Finding(None, f"and {more} more"))

    def to_dict(self) -> dict[str, JsonValue]:
        """Return it as a JSON object."""
        return {
            "place": self.exchange.place,
            "title": self.title,
            "request": self.exchange.line,
            "answer": self.reply,
            "checks": [finding.to_dict() for finding in self.findings],
        }


@frozen
class Diagnosis:
    """The diagnosis of a recorded join, knock, leave or invite.

    It is true if the handshake came to a good end.

    Attributes:
        cause: the name of the cause, for programs; empty if nothing is wrong.
        summary: the cause in a sentence.
        fault: the side at fault.
        succeeded: whether the handshake came to its end; None if the record ends before.
        event_id: the blamed event; empty without one.
        decision: the decision of the rules that counts; None without one. Its `url` leads to
            the rule.
        explanation: the reasons of that decision, if the state of the room was given.
        servers: servers that could help, as far as the state tells.
        missing: the data that it lacks to say more.
        subject: the move, such as `join of @ben:b.example to !r:a.example`.
        asking: the server that asked; empty if it is not known.
        answering: the server whose answer decided; empty if it is not known.
        steps: the story: every exchange of the record, in order.
        events: the events that matter, each after those that it cites, to draw them.

    .. versionadded:: 0.1.0
    """

    cause: str
    summary: str
    fault: Side
    succeeded: bool | None = False
    event_id: str = ""
    decision: Decision | None = None
    explanation: Explanation | None = None
    servers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    subject: str = ""
    asking: str = ""
    answering: str = ""
    steps: tuple[Step, ...] = ()
    events: tuple[Event, ...] = ()

    @classmethod
    def of(  # noqa: PLR0913 - options are keyword-only and have names
        cls,
        cause: str,
        summary: str,
        *,
        fault: Side | None = None,
        succeeded: bool | None = False,
        event_id: str = "",
        decision: Decision | None = None,
        explanation: Explanation | None = None,
        servers: Iterable[str] = (),
        missing: Iterable[str] = (),
    ) -> Diagnosis:
        """Make the diagnosis of one attempt, with the usual fault of its cause."""
        return cls(
            cause,
            summary,
            CAUSES[cause].fault if fault is None else fault,
            succeeded,
            event_id,
            decision if explanation is None else explanation.decision,
            explanation,
            tuple(servers),
            tuple(dict.fromkeys(filter(None, missing))),
        )

    def __bool__(self) -> bool:
        return self.succeeded is True and not self.cause

    @property
    def another_server(self) -> Help:
        """The answer to the question if another server would help."""
        return Help.NO if self.succeeded else CAUSES[self.cause].another

    @property
    def side(self) -> str:
        """The side at fault, with the name of its server."""
        name = {Side.ASKING: self.asking, Side.ANSWERING: self.answering}.get(self.fault)
        if self.fault is Side.NOBODY and self.cause == "rules_forbid":
            return "nobody: the rules forbid it"
        return f"{self.fault}, {name}" if name else str(self.fault)

    @property
    def remedies(self) -> tuple[tuple[str, str], ...]:
        """The remedies, as pairs of who can do it and what to do."""
        cause = CAUSES[self.cause]
        room = () if self.explanation is None else self.explanation.remedies
        return tuple(
            (who, what)
            for who, what in (
                ("asking server", cause.asking),
                ("answering server", cause.answering),
                *(("room", remedy.sentence) for remedy in room),
            )
            if what
        )

    def __str__(self) -> str:
        """Return a page for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.headline
        yield f"  {self.summary}"
        yield f"at fault: {self.side}"
        if self.event_id:
            yield f"event: {self.event_id}"
        if self.decision is not None:
            yield f"rule: {self.decision}"
            yield f"  {self.decision.url}"
        help_of_others = f" ({', '.join(self.servers)})" if self.servers else ""
        yield f"would another server help: {self.another_server}{help_of_others}"
        for title, rows in (
            ("Missing", self.missing),
            ("What each side can do", [f"{who}: {what}" for who, what in self.remedies]),
            ("Facts", () if self.explanation is None else self.explanation.facts),
        ):
            if rows:
                yield ""
                yield title
                yield from (f"  {row}" for row in rows)
        for number, step in enumerate(self.steps, 1):
            yield ""
            yield f"{number}. {step.title}"
            yield f"  {step.exchange.line}"
            yield f"  answer: {step.reply}"
            yield from (f"  {finding}" for finding in step.shown)

    @property
    def headline(self) -> str:
        """The subject and the outcome in a line."""
        return f"{_OUTCOMES[self.succeeded, bool(self.cause)]}: {self.subject}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the diagnosis as a JSON object."""
        return {
            "subject": self.subject,
            "asking": self.asking,
            "answering": self.answering,
            "succeeded": self.succeeded,
            "cause": self.cause,
            "summary": self.summary,
            "fault": str(self.fault),
            "event_id": self.event_id or None,
            "decision": None if self.decision is None else self.decision.to_dict(),
            "explanation": None if self.explanation is None else self.explanation.to_dict(),
            "another_server": str(self.another_server),
            "servers": list(self.servers),
            "missing": list(self.missing),
            "remedies": [{"who": who, "what": what} for who, what in self.remedies],
            "steps": [step.to_dict() for step in self.steps],
        }


_OUTCOMES: Final[Mapping[tuple[bool | None, bool], str]] = MappingProxyType(
    {
        (True, False): "succeeded",
        (True, True): "odd",
        (False, True): "failed",
        (None, True): "unfinished",
    }
)
