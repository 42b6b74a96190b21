"""The mutants of a module: its source with one thing wrong, by mutmut's operators."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper
from mutmut.mutation.mutators import mutation_operators

CONTEXT: Final = 6
"""How many words around a change its name shows."""


@attrs.frozen
class Mutant:
    """A module with one thing wrong.

    Attributes:
        module: the module's name inside the package.
        name: where and what, by words that a formatter does not change.
        source: the whole module.
    """

    module: str
    name: str
    source: str = attrs.field(repr=False)


def mutants_of(module: str, path: Path) -> Iterator[Mutant]:
    """All mutants of a module, each different from it and from the others."""
    source = path.read_bytes()
    wrapper = MetadataWrapper(cst.parse_module(source))
    spans = {
        node: slice(span.start, span.start + span.length)
        for node, span in wrapper.resolve(ByteSpanPositionProvider).items()
    }
    seen = {source}
    names: Counter[str] = Counter()
    for trail in _walk((wrapper.module,)):
        for mutated in _mutations(trail):
            change = Change(source, spans[trail[-1]], wrapper.module.code_for_node(mutated))
            if change.result not in seen and change.is_program:
                seen.add(change.result)
                whole = next(node for node in reversed(trail) if not isinstance(node, _SMALL))
                name = f"{module}: {_place(trail)}{change.shown_in(spans[whole])}"
                names[name] += 1
                nth = f" ({names[name]})" if names[name] > 1 else ""
                yield Mutant(module, name + nth, change.result.decode())


@attrs.frozen
class Change:
    """A piece of a source put in place of another."""

    source: bytes
    span: slice
    text: str

    @property
    def result(self) -> bytes:
        """The whole source after it."""
        before, after = self.source[: self.span.start], self.source[self.span.stop :]
        new = self.text.strip().encode()
        left = b" " if before[-1:].isalpha() and new[:1].isalpha() else b""
        right = b" " if after[:1].isalpha() and new[-1:].isalpha() else b""
        return before + left + new + right + after

    @property
    def is_program(self) -> bool:
        """Tell whether there is any sense in it."""
        try:
            ast.parse(self.result)
        except SyntaxError:
            return False
        return True

    def shown_in(self, whole: slice) -> str:
        """The words that change, with a few around them."""
        grown = len(self.result) - len(self.source)
        before = _words(self.source[whole])
        after = _words(self.result[whole.start : whole.stop + grown])
        shorter = min(len(before), len(after))
        first = next((i for i in range(shorter) if before[i] != after[i]), shorter)
        left = shorter - first
        last = next((i for i in range(left) if before[~i] != after[~i]), left)
        start, end = max(0, first - CONTEXT), max(0, last - CONTEXT)
        return f"{_joined(before, start, end)}  ->  {_joined(after, start, end)}"


def _walk(trail: tuple[cst.CSTNode, ...]) -> Iterator[tuple[cst.CSTNode, ...]]:
    """Every node with all that is around it, but for what is left out."""
    if not _is_left_out(trail):
        yield trail
        for child in trail[-1].children:
            yield from _walk((*trail, child))


def _mutations(trail: Sequence[cst.CSTNode]) -> Iterator[cst.CSTNode]:
    node = trail[-1]
    if isinstance(node, cst.Call) and isinstance(trail[-2], cst.Decorator):
        return  # another number and none are wrong in the same way
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            mutated = list(operator(node))
            # So are capitals and XX around a text.
            yield from mutated[:1] if kind is cst.BaseString else mutated


def _is_left_out(trail: Sequence[cst.CSTNode]) -> bool:
    """Tell whether nothing that runs could tell the difference."""
    match trail[-1]:
        case (
            cst.Annotation()  # a text, by `from __future__ import annotations`
            | cst.Import()
            | cst.ImportFrom()
            | cst.AnnAssign(target=cst.Name("__slots__"))
            | cst.Assign(targets=[cst.AssignTarget(cst.Name("__all__"))])  # tests/test_exports.py
            | cst.Assign(value=cst.Call(func=cst.Name("TypeVar")))
            | cst.Assign(value=cst.Subscript(value=cst.Name("Callable" | "Mapping" | "tuple")))
            # Programmer errors are never told apart by message.
            | cst.Call(func=cst.Name("TypeError" | "AttributeError"))
        ):
            return True
    return False


def _place(trail: Sequence[cst.CSTNode]) -> str:
    names = [node.name.value for node in trail if isinstance(node, (cst.FunctionDef, cst.ClassDef))]
    return ".".join(names) + ": " if names else ""


# What is too small to be recognised by itself.
_SMALL: Final = (
    cst.BaseNumber,
    cst.BaseString,
    cst.Name,
    cst.Arg,
    cst.Param,
    cst.ComparisonTarget,
    cst.BaseCompOp,
    cst.BaseBooleanOp,
    cst.BaseBinaryOp,
    cst.BaseUnaryOp,
    cst.BaseAugOp,
    cst.Break,
    cst.Continue,
    cst.Index,
    cst.SubscriptElement,
)


def _words(code: bytes) -> list[str]:
    text = re.sub(r"(?m) *#.*$", "", code.decode())
    return re.findall(r"\"[^\"\n]*\"|\w+|[^\w\s]", re.sub(r",(?=\s*[)\]}])", "", text))


def _joined(words: Sequence[str], start: int, end: int) -> str:
    return " ".join(words[start : len(words) - end])
