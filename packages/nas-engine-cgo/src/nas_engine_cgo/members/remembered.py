"""Results of calls without storage, by shapes: on the meta device some take milliseconds.

What is handed out instead of a result has its shape, and its gradient goes where that of the result
would go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from nas_engine_cgo.members.calls import storage_of, version_of
from nas_engine_cgo.members.foreseen import foreseen
from nas_engine_cgo.members.functions import PURE
from nas_engine_cgo.members.ghosts import tensors_in
from nas_engine_cgo.members.program import hashable, replaced

__all__ = ["Remembered"]

_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
_MAKERS = frozenset({torch.arange, torch.asarray, torch.full, torch.linspace, torch.logspace})
"""Functions that make a tensor of numbers, which may be tensors, too."""
_MOST = 10_000
"""So many results are remembered."""


class _Facts(NamedTuple):
    """What is known of a result, and whether it has a gradient."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    felt: bool

    @staticmethod
    def of(result: Tensor, felt: bool) -> _Facts:
        return _Facts(tuple(result.shape), result.stride(), result.dtype, felt)


class Remembered:
    """Calls functions that only compute, and remembers the shapes of what they gave.

    >>> seen = Remembered()
    >>> x = torch.empty(2, 3, device="meta")
    >>> [tuple(seen.call("relu", torch.relu, (x,), {}).shape) for _ in range(2)]
    [(2, 3), (2, 3)]
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, _Facts] = {}

    @staticmethod
    @cache
    def here() -> Remembered:
        """That of this process: what shapes functions give does not change from job to job."""
        return Remembered()

    def call(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What the function returns, or a tensor like it."""
        if name in _RECURRENT and len(args) == 9 and type(args[3]) is bool:
            return _recurred(function, args)
        given = tensors_in((args, kwargs))
        if (like := _LIKE.get(name)) is not None:
            return _stand_in(_Facts.of(like(*args, **kwargs), any(_felt(given))), given)
        if name not in PURE:
            return _called(function, args, kwargs, given)
        key = (function, _shapes(args), _shapes(kwargs), _felt(given), _types())
        if (found := self._known.get(key)) is not None:
            return _stand_in(found, given)
        if (plain := foreseen(function, args, kwargs)) is not None:
            return _stand_in(self._note(key, plain, any(_felt(given))), given)
        versions = [version_of(tensor) for tensor in given]
        result = _called(function, args, kwargs, given)
        changed = versions != [version_of(tensor) for tensor in given]
        if given and isinstance(result, Tensor) and not changed and not _is_view(result, given):
            self._note(key, result, result.requires_grad)
        return result

    def like(self, x: Tensor, others: Sequence[Tensor]) -> Tensor:
        """A tensor as if computed of these, with the shape and the layout of the first."""
        given = [x, *others]
        key = (tuple(x.shape), x.stride(), x.dtype, felt := any(_felt(given)))
        found = self._known.get(key) or self._note(key, torch.empty_like(x), felt)
        return _stand_in(found, given)

    def _note(self, key: Hashable, result: Tensor, felt: bool) -> _Facts:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = found = _Facts.of(result, felt)
        return found


def _of_ctc(names: str, *args: Any, **kwargs: Any) -> Tensor:
    given = dict(zip(names.split(), args, strict=False)) | kwargs
    each: Tensor = given["log_probs"].detach().sum((0, -1))
    return each if given.get("reduction", "mean") == "none" else each.sum()


def _of_gaussian(names: str, *args: Any, **kwargs: Any) -> Tensor:
    given = dict(zip(names.split(), args, strict=False)) | kwargs
    each: Tensor = (given["input"] - given["target"]).detach()
    return each if given.get("reduction", "mean") == "none" else each.sum()


_LIKE: Mapping[str, Callable[..., Tensor]] = {
    "ctc_loss": partial(
        _of_ctc, "log_probs targets input_lengths target_lengths blank reduction zero_infinity"
    ),
    "gaussian_nll_loss": partial(_of_gaussian, "input target var full eps reduction"),
}
"""Tensors like the results of losses that ask for values, or that are not known without storage."""


def _called(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    given: Sequence[Tensor],
) -> Any:
    """What the function returns; the tensors that it makes of numbers have no storage, either."""
    makes = not given or isinstance(function, FunctionType) or function in _MAKERS
    if not makes:
        return function(*args, **kwargs)  # With a device set, torch asks Python at each step.
    with torch.device("meta"):
        return function(*args, **kwargs)


def _recurred(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """What a recurrent layer returns: on the meta device it takes a second to find that out.

    It is computed of zeros, and not in training, so that dropout draws nothing.
    """

    def zeros(value: Any) -> Any:
        given = isinstance(value, Tensor)
        return torch.zeros(value.shape, dtype=value.dtype, device="cpu") if given else value

    given = tensors_in(args)
    with torch.no_grad():
        result = function(*replaced((*args[:6], False, *args[7:]), zeros))
    felt = any(_felt(given))
    return replaced(result, lambda made: _stand_in(_Facts.of(made, felt), given))


def _is_view(result: Tensor, given: Sequence[Tensor]) -> bool:
    """Whether what is done to the result is seen in what was given."""
    return storage_of(result) in {storage_of(tensor) for tensor in given}


def _felt(given: Sequence[Tensor]) -> tuple[bool, ...]:
    """Which tensors take part in computing gradients."""
    recording = torch.is_grad_enabled()
    return tuple(recording and tensor.requires_grad for tensor in given)


def _stand_in(facts: _Facts, given: Sequence[Tensor]) -> Tensor:
    if facts.felt:
        wanting = [tensor for tensor in given if tensor.requires_grad]
        made: Tensor = _StandIn.apply(facts, *wanting)  # type: ignore[no-untyped-call]
        return made
    return _ghost(facts)


def _ghost(facts: _Facts) -> Tensor:
    return torch.empty_strided(facts.shape, facts.stride, dtype=facts.dtype, device="meta")


class _StandIn(Function):
    @staticmethod
    def forward(_ctx: Any, facts: _Facts, *_given: Tensor) -> Tensor:
        return _ghost(facts)


def _shapes(structure: Any) -> Hashable:
    """Arguments with no more of the tensors than their shapes, to compare."""
    match structure:
        case Tensor():
            return tuple(structure.shape), structure.stride(), structure.dtype
        case tuple() | list():
            return (type(structure).__name__, *map(_shapes, structure))
        case dict():
            return tuple((key, _shapes(value)) for key, value in structure.items())
        case slice():
            return "slice", *map(_shapes, (structure.start, structure.stop, structure.step))
    try:
        hash(structure)
    except TypeError:
        return object()  # Equal to nothing that comes later.
    return hashable(structure)


def _types() -> Hashable:
    """What decides the types of results beside the arguments."""
    devices = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]
    return torch.get_default_dtype(), *((d, torch.get_autocast_dtype(d)) for d in devices)
