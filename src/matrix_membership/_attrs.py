"""Immutable classes: two class decorators, and the base of enums of words.

`frozen` compares by value, `constant` by identity. Both use slots and refuse subclasses, so
that no subclass can change what a value means. An enum of this package is a `Word`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from inspect import signature
from operator import attrgetter
from typing import Any, ClassVar, Final, Never, TypeVar, dataclass_transform

import attrs

__all__ = ["Word", "as_bool", "as_tuple", "by_value", "constant", "evolve", "frozen", "slots"]

_Class = TypeVar("_Class", bound=type)
_Value = TypeVar("_Value")


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def frozen(cls: _Class) -> _Class:
    """Make an immutable, sealed class that compares by value."""
    return _sealed(_comparing(_made_once(cls)))


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(attrs.field,))
def constant(cls: _Class) -> _Class:
    """Make an immutable, sealed class that compares by identity.

    Hashing a value of many fields costs 240 ns, hashing an identity 50.
    """
    return _sealed(_made_once(cls))


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(attrs.field,))
def slots(cls: _Class) -> _Class:
    """Make a class of slots without a constructor, for a `constant` to inherit.

    An object of it is filled in first. Setting its class to the `constant` seals it.
    """
    return attrs.define(cls, eq=False, init=False, repr=False)


# attrs asks `inspect` for the arguments of the method below, once for each class. Without an answer
# at hand that takes a twentieth of the import of this package.
_OF_ONE: Final = signature(lambda self: None)  # noqa: ARG005 - only its shape counts


def _made_once(cls: _Class) -> _Class:
    """Make an immutable class whose values refuse a second initialisation.

    `value.__init__(...)` and `value.__setstate__(...)` would change a value in place. The
    look at its first field costs half a microsecond for each new value: 1.1 us, not 0.6, for
    one of four fields. Values that are made for each PDU are filled through `slots`
    instead.
    """
    first: str | None = None

    def refuse_again(self: object) -> None:
        if first is not None and hasattr(self, first):
            raise TypeError(f"a {type(self).__name__} does not change")

    setattr(refuse_again, "__signature__", _OF_ONE)  # noqa: B010 - checkers forbid the plain form
    setattr(cls, "__attrs_pre_init__", refuse_again)  # noqa: B010 - checkers forbid the plain form
    made: Any = attrs.frozen(cls, eq=False, repr=False)
    first = next((field.name for field in attrs.fields(made)), None)
    restore = made.__setstate__

    def restored(self: object, state: object) -> None:
        refuse_again(self)
        restore(self, state)

    made.__setstate__ = restored
    if made.__repr__ is object.__repr__:
        made.__repr__ = _shown
    frozen_class: _Class = made
    return frozen_class


# attrs writes source text for these methods and compiles it, for each of a hundred classes. That
# was a quarter of what the import of this package takes. Comparing takes 0.32 us in this way, not
# 0.14, and a hash 0.26, not 0.21; what is compared for each event has methods of its own.


def _shown(self: object) -> str:
    fields = attrs.fields(self.__class__)  # type: ignore[arg-type]  # only given to attrs classes
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in fields if field.repr)
    return f"{self.__class__.__qualname__.rpartition('>.')[2]}({', '.join(shown)})"


def _comparing(cls: _Class) -> _Class:
    """Add the comparison by value. A class with one of its own is a `constant`."""
    made: Any = cls
    names = [field.name for field in attrs.fields(made) if field.eq]
    key: Callable[[object], object] = attrgetter(*names) if names else type

    def equal(self: object, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is made else NotImplemented

    def hashed(self: object) -> int:
        return hash(key(self))

    made.__eq__ = equal
    # A value that holds a dict has a hash of its own.
    if "__hash__" not in vars(made):
        made.__hash__ = hashed
    return cls


def by_value(cls: _Class) -> _Class:
    """Make a `constant` whose fields hold mappings compare by value."""
    made: Any = cls
    names: tuple[str, ...] = made.__match_args__
    key: Callable[[object], object] = attrgetter(*names)

    def equal(self: object, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is made else NotImplemented

    def hashed(self: object) -> int:
        # Mappings have no hash, and are left out: equal values have equal other fields.
        found = [getattr(self, name) for name in names]
        return hash(tuple([value for value in found if not isinstance(value, Mapping)]))

    made.__eq__ = equal
    made.__hash__ = hashed
    return cls


def _sealed(cls: _Class) -> _Class:
    def refuse(subclass: type, /, **_: object) -> Never:
        raise TypeError(f"{cls.__name__} is sealed: {subclass.__name__} cannot extend it")

    setattr(cls, "__init_subclass__", classmethod(refuse))  # noqa: B010 - checkers forbid the plain form
    return cls


# Converters of fields. attrs asks for the signature of each, and `inspect` reads that of `tuple`
# by Python's tokenizer: 2 ms of the import of this package.


def as_tuple(values: Any) -> tuple[Any, ...]:
    """Keep any iterable of a field as a tuple."""
    return tuple(values)


def as_bool(value: object) -> bool:
    """Keep the truth of a field: a database gives 0 and 1."""
    return bool(value)


def evolve(value: _Value, **changes: object) -> _Value:
    """Make a copy with some fields changed, with a type that checkers understand."""
    return attrs.evolve(value, **changes)  # type: ignore[misc]  # our decorators hide attrs' protocol


class Word(Enum):
    """An enum whose members print as their values."""

    _value_: str

    def __str__(self) -> str:
        return self._value_

    # Members are equal when they are the same. `Enum.__hash__` is Python code, and takes 90 ns
    # longer.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__
