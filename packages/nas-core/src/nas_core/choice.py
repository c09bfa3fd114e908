"""A choice: one labelled decision, and the values that it may take."""

from __future__ import annotations

import itertools
import math
import os
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from nas_core.architecture import Value, canonical
from nas_core.errors import NasError, Place
from nas_core.structure import ATOMS

__all__ = ["Choice", "Domain", "Key", "OneOf", "Subset", "caller", "option"]

Key: TypeAlias = tuple[int, ...]
"""Where in a constructor's run a choice was created: ordinals, outermost scope first."""

_HERE = f"{Path(__file__).parent}{os.sep}"


def caller() -> Place:
    """The innermost line of the stack that is not of this package, of torch or of an engine."""
    torch = getattr(sys.modules.get("torch"), "__file__", None)
    # "<string>": the constructors that dataclasses generate.
    others = (_HERE, "<string>", *([torch.removesuffix("__init__.py")] if torch else []))
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(others)
        or str(frame.f_globals.get("__name__", "")).startswith("nas_engine_")
    ):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


@dataclass(frozen=True, eq=False)
class OneOf:
    """Exactly one of some options, each a JSON value.

    >>> OneOf(["conv", "skip"]).size
    2
    """

    values: Sequence[Value]
    _index: dict[str, int] = field(init=False, repr=False)
    _exact: frozenset[tuple[type, Value]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise _OptionsError("a choice needs at least one option")
        index: dict[str, int] = {}
        for i, value in enumerate(self.values):
            try:
                text = canonical(value)
            except (TypeError, ValueError) as error:
                raise _OptionsError(
                    f"option {value!r} has no JSON form ({error}): give the options as a dict "
                    "from a name to the object"
                ) from None
            if text in index:
                raise _OptionsError(f"option {value!r} is given twice")
            index[text] = i
        object.__setattr__(self, "_index", index)
        # No floats: 0.0 equals -0.0, which is another option.
        exact = ATOMS - {float}
        pairs = ((type(value), value) for value in self.values if type(value) in exact)
        object.__setattr__(self, "_exact", frozenset(pairs))

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def default(self) -> Value:
        return self.values[0]

    def options(self) -> Iterator[Value]:
        return iter(self.values)

    def index(self, value: Value) -> int | None:
        """The position of an option that equals the value by type and value, or None."""
        try:
            return self._index.get(canonical(value))
        except (TypeError, ValueError):
            return None

    def find(self, value: Value) -> Value:
        """The option that equals this value (a list of JSON may stand for a tuple).

        Raises:
            KeyError: it is no option.
        """
        if (index := self.index(value)) is None:
            raise KeyError(value)
        return self.values[index]

    def contains(self, value: Value) -> bool:
        return self.index(value) is not None

    def has(self, value: Value) -> bool:
        """Whether an option is just this value, of this type, and can't change."""
        kind = type(value)
        if kind is not float:
            return kind in ATOMS and (kind, value) in self._exact
        index = self.index(value)
        return index is not None and type(self.values[index]) is float

    def sample(self, rng: random.Random) -> Value:
        return self.values[rng.randrange(len(self.values))]

    def sample_other(self, value: Value, rng: random.Random) -> Value:
        """A uniformly drawn option that is not this one."""
        position = rng.randrange(len(self.values) - 1)
        return self.values[position + (position >= self._index[canonical(value)])]

    def describe(self) -> Value:
        return list(self.values)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OneOf) and self._index == other._index

    def __hash__(self) -> int:
        return hash(tuple(self._index))


def option(options: Sequence[Value], value: Value) -> Value:
    """``OneOf(options).find(value)``, without a look at the other options where that is enough.

    >>> option([1, 2.0, 2], 2)
    2
    """
    kind = type(value)
    if kind is int or kind is str or kind is bool:
        for found in options:
            if type(found) is kind and found == value:
                return found
    return OneOf(options).find(value)


@dataclass(frozen=True)
class Subset:
    """``n_chosen`` of ``n`` indices, sorted, without replacement; any non-empty subset for None.

    The empty set is left out since a reduction of no tensors is no tensor.

    >>> list(Subset(3, 2).options())
    [[0, 1], [0, 2], [1, 2]]
    >>> Subset(3, None).size
    7
    """

    n: int
    n_chosen: int | None

    def __post_init__(self) -> None:
        if self.n < 1:
            raise _OptionsError(f"at least one candidate is needed, not {self.n}")
        if self.n_chosen is not None and not 1 <= self.n_chosen <= self.n:
            raise _OptionsError(
                f"n_chosen is {self.n_chosen}: with {self.n} candidates it must be "
                f"1 to {self.n}, or None for any number"
            )

    @property
    def size(self) -> int:
        return 2**self.n - 1 if self.n_chosen is None else math.comb(self.n, self.n_chosen)

    @property
    def default(self) -> Value:
        return list(range(self.n_chosen or 1))

    def _lengths(self) -> Iterable[int]:
        return range(1, self.n + 1) if self.n_chosen is None else (self.n_chosen,)

    def options(self) -> Iterator[Value]:
        for k in self._lengths():
            yield from map(list, itertools.combinations(range(self.n), k))

    def find(self, value: Value) -> Value:
        """The subset as a sorted list.

        Raises:
            KeyError: it is none.
        """
        if not self.contains(value):
            raise KeyError(value)
        return list(value)

    def contains(self, value: Value) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) not in self._lengths():
            return False
        previous = -1
        for i in value:
            if type(i) is not int or not previous < i < self.n:
                return False
            previous = i
        return True

    def has(self, value: Value) -> bool:
        """Whether it is just one of the subsets, as a list."""
        return type(value) is list and self.contains(value)

    def sample(self, rng: random.Random) -> Value:
        """Uniform over all subsets."""
        if self.n_chosen is not None:
            return sorted(rng.sample(range(self.n), self.n_chosen))
        bits = rng.randrange(1, 2**self.n)
        return [i for i in range(self.n) if bits >> i & 1]

    def sample_other(self, value: Value, rng: random.Random) -> Value:
        """A uniformly drawn subset that is not this one."""
        while (drawn := self.sample(rng)) == list(value):
            pass
        return drawn

    def describe(self) -> Value:
        return {"n": self.n, "n_chosen": self.n_chosen}

    def __str__(self) -> str:
        if self.n_chosen is None:
            return f"any non-empty sorted list of indices below {self.n}"
        return f"a sorted list of {self.n_chosen} of the indices below {self.n}"


Domain: TypeAlias = OneOf | Subset


class Choice:
    """The identity of one decision: copies of a module share it, so that they stay tied.

    ``label`` is None until ``Space.of`` names a choice for which the user gave no label.
    """

    def __init__(
        self,
        kind: str,
        domain: Domain,
        label: str | None,
        place: Place,
        key: Key | None,
    ) -> None:
        if label is not None and (not isinstance(label, str) or not label):
            raise _OptionsError(f"a label is a non-empty string, not {label!r}", place)
        self.kind = kind
        self.domain = domain
        self.given_label = label
        self.label = label or ""
        self.place = place
        self.key = key
        self.in_model = key is not None  # Then it has its first option while the model is open.

    def __deepcopy__(self, memo: object) -> Choice:
        return self

    def __repr__(self) -> str:
        return f"{self.kind}({self.label or 'unnamed'}: {self.domain}) at {self.place}"


class _OptionsError(NasError, ValueError):
    """The options of a choice are no options; says the line of the user's code."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(f"{message} (at {place or caller()})")
