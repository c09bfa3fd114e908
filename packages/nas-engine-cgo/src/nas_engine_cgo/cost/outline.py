"""What a model calls in a step, as far as its modules tell, and how many steps repay a closer look.

All is told in calls: what a step takes, what merging saves of it, and what it takes to plan that,
grow with them.
"""

from __future__ import annotations

import dis
import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from nas_engine_cgo.cost.clusters import likeness

__all__ = ["Calls", "alike", "calls_of", "repays"]

_PLAN, _PLAN_EACH = 80, 12
"""Calls that take as long as to plan for one model, at least, and for each call of its own."""
_KIND, _KIND_EACH = 25, 5
"""The same for each other model."""
_LOOP = 25
"""Calls that take as long as what each member has besides steps, if it is trained alone."""
_DIFFERENT = 1 / 4
"""The part of a member's calls that finds no equal ones if its model is another one, or about."""
_AS_IT_IS = 0.9
"""The part of a call that it takes longer to call a module as it is from merged code."""
_NOT_REPEATED = 0.5
"""The part of a member's calls that it takes if steps, which call modules, are not repeated."""
_STEPPED = 0.3
"""The part of a call that it takes the optimiser to step over a layer by itself."""


@dataclass(frozen=True)
class Calls:
    """What one step of a model calls.

    Attributes:
        merged: functions that may run together with those of other models.
        whole: modules that look as if they can only be called as they are.
        inside: layers of these that are trained.
    """

    merged: int
    whole: int = 0
    inside: int = 0


def calls_of(module: nn.Module) -> Calls:
    """About what a step calls: each layer once, and the loss.

    >>> class Counts(nn.Sequential):
    ...     def forward(self, x):
    ...         self.calls += 1
    ...         return super().forward(x)
    >>> calls_of(nn.Sequential(Counts(nn.Linear(8, 8), nn.ReLU()), nn.ReLU(), nn.Linear(8, 2)))
    Calls(merged=3, whole=1, inside=1)
    """
    kinds = {type(child) for child in module.modules()}
    opaque = {kind for kind in kinds if _may_be_opaque(kind)}
    merged, whole, inside = 1, 0, 0
    left = [module]
    while left:
        each = left.pop()
        if type(each) in opaque:
            whole += 1
            inside += sum(1 for child in each.modules() if child._parameters)  # noqa: SLF001
        elif children := list(each.children()):
            left += children
        else:
            merged += 1
    return Calls(merged, whole, inside)


def alike(sources: Sequence[str]) -> float:
    """How many models share a call, on average, as far as their sources tell; all, if they don't.

    >>> round(alike(["x = nn.ReLU(); y = torch.exp(x)", "x = nn.ReLU(); y = torch.cos(x)"]), 2)
    1.33
    """
    return likeness([tuple(_CALLED.findall(source)) for source in sources]) or len(sources)


def repays(steps: float, count: int, kinds: int, calls: Calls, shared: float) -> bool:
    """Whether steps of some members gain as much by merging as it takes to plan that, or about.

    Args:
        steps: how many each member takes.
        count: how many members there are.
        kinds: how many models they have.
        calls: what a step of one of them calls.
        shared: how many of the members share a call.

    >>> [repays(steps, 2, 1, Calls(5), 2) for steps in (16, 32)]  # small perceptrons
    [False, True]
    >>> [repays(steps, 8, 8, Calls(50), 6) for steps in (8, 16)]  # networks of cells
    [False, True]
    >>> repays(80, 8, 8, Calls(8), 1.8)  # of hardly anything in common
    False
    """
    others = min(count - 1 - _DIFFERENT * (kinds - 1), shared - 1)
    own = calls.merged + calls.whole
    planned = _PLAN + _PLAN_EACH * own + (kinds - 1) * (_KIND + _KIND_EACH * own)
    saved = (others - (_NOT_REPEATED if calls.whole else 0.0)) * calls.merged
    saved += count * (_STEPPED * calls.inside - _AS_IT_IS * calls.whole)
    return steps * saved + others * _LOOP >= planned


def _may_be_opaque(kind: type) -> bool:
    """Whether modules of a class look like ones that can only be called as they are.

    >>> class Counts(nn.Module):
    ...     def forward(self, x):
    ...         self.calls += 1
    ...         return x
    >>> _may_be_opaque(Counts), _may_be_opaque(nn.LSTM)
    (True, False)
    """
    code = getattr(kind.forward, "__code__", None)  # type: ignore[attr-defined]
    if kind.__module__.startswith("torch.nn.") or code is None:
        return False
    return _STORE in code.co_code[::2] or not _ASKING.isdisjoint(code.co_names)


_CALLED = re.compile(r"\b(?:nn|F|torch)\.\w+\([^()]*")
_STORE = dis.opmap["STORE_ATTR"]
_ASKING = frozenset({"apply", "item", "tolist", "bool", "random"})
"""Names in functions with gradients of their own, and in code that decides by values."""
