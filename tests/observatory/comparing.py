"""All engines asked the same, and what came of it: how many verdicts differ in which class, each with a small case."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from tests.observatory.classes import Seen, class_of, is_withheld
from tests.observatory.engines import Peer
from tests.observatory.questions import NOT_ASKED, Question, ours, questions

__all__ = ["Comparison", "compare", "same"]

SHRUNK: Final = frozenset({"rules", "auth-events", "selection", "redaction"})
"""The areas whose cases are made smaller; those of the others are small, or told by their seed."""


def same(one: Any, other: Any) -> bool:
    """Tell whether two verdicts are the same; the order of a list of places does not count."""
    return _form(one) == _form(other)


def _form(verdict: Any) -> str:
    if isinstance(verdict, list):
        verdict = sorted(verdict, key=json.dumps)
    return json.dumps(verdict, sort_keys=True)


@attrs.define
class Comparison:
    """The results of a comparison.

    Attributes:
        asked: the number of cases of each area.
        compared: the number of verdicts of each engine, by area.
        seen: the verdicts that differ, by class and engine.
        unlisted: those of no class.
        withheld: those that are not published, by engine.
        silent: the cases for which an engine gave no verdict at all, by engine.
    """

    asked: Counter[str] = attrs.Factory(Counter)
    compared: dict[str, Counter[str]] = attrs.Factory(lambda: defaultdict(Counter))
    seen: dict[tuple[str, str], list[Seen]] = attrs.Factory(lambda: defaultdict(list))
    unlisted: list[Seen] = attrs.Factory(list)
    withheld: dict[str, list[Seen]] = attrs.Factory(lambda: defaultdict(list))
    silent: dict[str, list[Question]] = attrs.Factory(lambda: defaultdict(list))

    def add(self, found: Seen) -> None:
        """Add a verdict that differs."""
        name = class_of(found)
        if not name:
            self.unlisted.append(found)
        elif is_withheld(found):
            self.withheld[found.engine].append(found)
        else:
            self.seen[name, found.engine].append(found)


def compare(peers: Sequence[Peer], count: int) -> Comparison:
    """Ask all engines, and compare their verdicts with this library's."""
    found = Comparison()
    cases = [
        (asked, verdict) for asked in questions(count) if (verdict := ours(asked)) is not NOT_ASKED
    ]
    found.asked.update(asked["area"] for asked, _ in cases)
    for peer in peers:
        name = peer.engine.name
        answers = peer.ask_many(asked for asked, _ in cases)
        for (asked, mine), answer in zip(cases, answers, strict=True):
            if "fault" in answer:
                found.silent[name].append(asked)
            elif "verdict" in answer:
                found.compared[name][asked["area"]] += 1
                if not same(answer["verdict"], mine):
                    found.add(Seen(asked, mine, name, answer["verdict"]))
    return found


def results(found: Comparison, peers: Sequence[Peer]) -> dict[str, Any]:
    """Return the results that the page is written from."""
    by_name = {peer.engine.name: peer for peer in peers}
    classes: dict[str, Any] = defaultdict(dict)
    for (name, engine), seen in sorted(found.seen.items()):
        small = _smallest(seen, by_name[engine], name)
        classes[name][engine] = {"count": len(seen), "case": _told(small.question, peers)}
    for engine, hidden in found.withheld.items():
        for name in {class_of(seen) for seen in hidden} & classes.keys():
            classes[name].setdefault(engine, None)
    return {
        "engines": {peer.engine.name: peer.engine.version for peer in peers},
        "asked": dict(found.asked),
        "compared": {name: dict(by_area) for name, by_area in found.compared.items()},
        "classes": classes,
    }


def _told(question: Question, peers: Sequence[Peer]) -> dict[str, Any]:
    mine = ours(question)
    verdicts = {"here": mine}
    for peer in peers:
        answer = peer.ask(question)
        if "verdict" in answer:
            seen = Seen(question, mine, peer.engine.name, answer["verdict"])
            if same(seen.theirs, mine) or not is_withheld(seen):
                verdicts[seen.engine] = seen.theirs
    if question["area"] == "resolution":
        question = {key: question[key] for key in ("area", "seed", "room_version")}
        verdicts = {name: _digest(verdict, mine) for name, verdict in verdicts.items()}
    return {"question": question, "verdicts": verdicts}


def _digest(verdict: Any, mine: Any) -> str:
    """A state is large: how many places differ."""
    return f"{len({*map(tuple, mine)} ^ {*map(tuple, verdict)})} entries differ"


def _smallest(seen: Sequence[Seen], peer: Peer, name: str) -> Seen:
    small = min(seen, key=lambda one: len(json.dumps(one.question)))
    if small.question["area"] not in SHRUNK:
        return small
    while True:
        for question in _smaller(small.question):
            found = _asked(question, peer)
            if found is not None and class_of(found) == name and not is_withheld(found):
                small = found
                break
        else:
            return small


def _asked(question: Question, peer: Peer) -> Seen | None:
    mine, answer = ours(question), peer.ask(question)
    if mine is NOT_ASKED or "verdict" not in answer or same(answer["verdict"], mine):
        return None
    return Seen(question, mine, peer.engine.name, answer["verdict"])


def _smaller(question: Question) -> Iterator[Question]:
    """The question without one thing: an event of the state, or a key of a content."""
    state = question.get("state", [])
    for at in range(1, len(state)):
        yield {**question, "state": state[:at] + state[at + 1 :]}
    for at, (name, pdu) in enumerate(state):
        for content in _without_one(pdu["content"]):
            changed = [[name, {**pdu, "content": content}]]
            yield {**question, "state": state[:at] + changed + state[at + 1 :]}
    pdu = question["pdu"]
    for content in _without_one(pdu["content"]):
        yield {**question, "pdu": {**pdu, "content": content}}
    if question["area"] == "redaction":
        for key in pdu.keys() - {"type", "sender", "content"}:
            yield {
                **question,
                "pdu": {other: value for other, value in pdu.items() if other != key},
            }


def _without_one(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        yield {other: kept for other, kept in content.items() if other != key}
        if isinstance(value, dict):
            for inner in value:
                yield {**content, key: {k: kept for k, kept in value.items() if k != inner}}
