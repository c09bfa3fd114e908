"""Verdicts that were found before: by this process, or on this machine as it is now."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch

from nas_engine_cgo.exact.equality import Verdict
from nas_engine_cgo.exact.machine import surroundings
from nas_engine_cgo.members import PURE, Call, Facts, Ref
from nas_engine_cgo.packs import Parts
from nas_engine_cgo.remember import Memory

__all__ = ["Question", "Verdicts"]

_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.memory_format, torch.layout)


@dataclass(frozen=True)
class Question:
    """Whether fused calls give the bits that they give one by one.

    Attributes:
        call: of one of the members.
        operands: what is known of what it takes, where each comes from, and whether it may have a
            gradient.
        signature: what is equal for the calls.
        n: how many there are.
        shared: by position, which operands are one value for all.
        apart: the ways in which it is computed.
    """

    call: Call
    operands: tuple[tuple[Facts, tuple[str, bool]], ...]
    signature: Hashable
    n: int
    shared: tuple[bool, ...]
    apart: Parts

    @property
    def key(self) -> Hashable:
        """What decides the answer in this process."""
        roles = tuple(role for _, role in self.operands)
        return self.signature, self.n, self.shared, self.apart, self._strides, roles

    @property
    def _strides(self) -> tuple[tuple[int, ...], ...]:
        """Those of operands that do not lie in memory as usual."""
        return tuple(facts.stride if facts.crosswise else () for facts, _ in self.operands)

    def text(self) -> str | None:
        """What decides the answer besides the machine; None if an argument can't be written."""
        function = self.call.function
        name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
        pure = self.call.name in PURE  # Else numbers are drawn in the order in memory.
        operands = [
            (f.shape, str(f.dtype), () if pure else f.order, role) for f, role in self.operands
        ]
        try:
            given = _spelled((self.call.args, dict(self.call.kwargs)))
        except TypeError:
            return None
        rest = (self.call.name, *name, self.call.grad, operands, self.n, self.shared, self.apart,
                self._strides)  # fmt: skip
        return f"{given} {rest!r}"


class Verdicts:
    """Answers questions, each once.

    Args:
        memory: where answers of other processes are; None to remember nothing beyond this one.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()
        self._known: dict[Hashable, Verdict] = {}
        self._new: dict[str, str] = {}

    def of(self, question: Question, find: Callable[[], Verdict]) -> Verdict:
        """The answer to a question, which ``find`` finds out."""
        if (known := self._known.get(question.key)) is not None:
            return known
        text = question.text()
        name = text and _here(text)
        verdict = _read(self._memory.recall(name), question) if name else None
        if verdict is None:
            verdict = find()
            if name:
                self._new[name] = _written(verdict)
        self._known[question.key] = verdict
        return verdict

    def has_tried(self, text: str) -> bool:
        """Whether a whole step that a text tells from all others was equal on several batches."""
        return self._memory.recall(_here(text)) is not None

    def note_tried(self, text: str) -> None:
        """Keep that it was."""
        self._memory.keep({_here(text): "tried"})

    def save(self) -> None:
        """Keep the answers that are new for other processes."""
        if self._new:
            self._memory.keep(self._new)
            self._new = {}


def _here(text: str) -> str:
    """A key for what holds on this machine as it is now."""
    return sha256(f"{surroundings()}\n{text}".encode()).hexdigest()


def _written(verdict: Verdict) -> str:
    return "".join("1" if equal else "0" for equal in (verdict.results, *verdict.gradients))


def _read(text: Any, question: Question) -> Verdict | None:
    """What was written, unless the file was changed by somebody else."""
    if not isinstance(text, str) or len(text) != 1 + len(question.operands):
        return None
    if set(text) - {"0", "1"}:
        return None
    results, *gradients = (digit == "1" for digit in text)
    return Verdict(results, tuple(gradients))


def _spelled(structure: Any) -> str:
    """Arguments as a text that other processes read in the same way.

    >>> _spelled((Ref(3), [1, 1.0], {"dim": None}))
    '(*, (int 1, float 1.0), {dim: NoneType None})'
    """
    match structure:
        case Ref():
            return "*"
        case tuple() | list():
            return f"({', '.join(map(_spelled, structure))})"
        case dict():
            return f"{{{', '.join(f'{key}: {_spelled(x)}' for key, x in structure.items())}}}"
        case slice(start=start, stop=stop, step=step):
            return f"slice{_spelled((start, stop, step))}"
        case _ if type(structure) in _PLAIN:
            return f"{type(structure).__name__} {structure!r}"
        case _:
            raise TypeError(f"{type(structure).__name__} is known in this process only")
