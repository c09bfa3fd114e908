"""One point of a model space: label → value for every active choice."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, ItemsView, Iterator, KeysView, Mapping
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any, TypeAlias

from nas_core.errors import InvalidArchitectureError, NasError, nearest
from nas_core.structure import ATOMS

__all__ = ["Architecture", "Value", "canonical"]

Value: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, or a list, tuple or dict of such."""


def canonical(value: Value) -> str:
    """The one JSON text of a value: equal texts mean equal type and value.

    >>> canonical(2), canonical(2.0), canonical((1, "a"))
    ('2', '2.0', '[1,"a"]')

    Raises:
        TypeError: the value has no JSON form.
        ValueError: it is NaN or infinite.
    """
    # The most frequent kinds first: an encoder object for each takes longer than all the rest.
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is int or (kind is float and isfinite(value)):
        return repr(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


class Architecture(Mapping[str, Value]):
    """An immutable, hashable mapping from label to value, in the order of the decisions.

    Equality is that of the canonical JSON text: ``2`` is not ``2.0``, ``True`` is not ``1``,
    a tuple equals the list that JSON makes of it, and the order of the labels doesn't count.

    >>> arch = Architecture({"width": 32, "body": "conv"})
    >>> arch["width"], arch == {"body": "conv", "width": 32}
    (32, True)
    >>> Architecture.from_json(arch.to_json()) == arch
    True
    >>> arch.digest
    '9e6791f5eae49d9f'

    Raises:
        InvalidArchitectureError: a label is no string, or a value has no JSON form.
    """

    __slots__ = ("_text", "_values")

    def __init__(self, values: Mapping[str, Value] | None = None) -> None:
        # Copied: who made a list may go on to change it.
        self._values = {k: _own(v) for k, v in (values or {}).items()}
        try:
            if bad := [label for label in self._values if not isinstance(label, str)]:
                raise TypeError(f"label {bad[0]!r} is no string")
            self._text = canonical(self._values)
        except (TypeError, ValueError) as error:
            raise InvalidArchitectureError([str(error)]) from None

    @classmethod
    def from_json(cls, text: str | bytes) -> Architecture:
        """Read what ``to_json`` wrote.

        Raises:
            InvalidArchitectureError: the text is no JSON object.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InvalidArchitectureError([f"no JSON: {error}"]) from None
        if not isinstance(values, dict):
            raise InvalidArchitectureError([f"a JSON object is needed, not {text!r}"])
        return cls(values)

    def to_json(self) -> str:
        """JSON with the labels in the order of the decisions."""
        return json.dumps(self._values, allow_nan=False)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the canonical text's SHA-256."""
        return hashlib.sha256(self._text.encode()).hexdigest()[:16]

    def restrict(self, labels: Collection[str]) -> Architecture:
        """The part that decides these labels; itself if that is all.

        >>> Architecture({"width": 32, "lr": 0.1}).restrict(["width"])
        Architecture({'width': 32})
        """
        if all(label in labels for label in self._values):
            return self
        return Architecture({k: v for k, v in self._values.items() if k in labels})

    def __getitem__(self, label: str) -> Value:
        if label not in self._values:
            raise _absent(label, self._values)
        return _own(self._values[label])

    def get(self, label: str, default: Any = None) -> Any:
        """The value of a label, or else the default: a choice that is not active has no value."""
        return self[label] if label in self._values else default

    def __contains__(self, label: object) -> bool:
        return label in self._values

    def keys(self) -> KeysView[str]:
        return self._values.keys()

    def items(self) -> ItemsView[str, Value]:
        if ATOMS.issuperset(map(type, self._values.values())):
            return self._values.items()
        items = self._values.items()
        return {x: value if type(value) in ATOMS else _own(value) for x, value in items}.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Architecture):
            return self._text == other._text
        if isinstance(other, Mapping):
            try:
                return self._text == canonical(dict(other))
            except (TypeError, ValueError):
                return False
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Architecture({self._values!r})"

    def __reduce__(self) -> tuple[type[Architecture], tuple[dict[str, Value]]]:
        return type(self), (self._values,)


class _AbsentError(NasError, KeyError):
    """A label that an architecture does not decide."""


def _absent(label: object, there: Collection[str]) -> _AbsentError:
    hint = nearest(str(label), there) or "; a choice that is not active has no value"
    return _AbsentError(f"no {label!r} in this architecture ({', '.join(there)}){hint}")


def _own(value: Value) -> Value:
    if type(value) in ATOMS:
        return value
    if type(value) is list:  # By far the most frequent one, and quick.
        return [_own(x) for x in value]
    return copy.deepcopy(value) if isinstance(value, (list, tuple, dict)) else value
