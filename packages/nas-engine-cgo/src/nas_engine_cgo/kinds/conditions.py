"""When a call can be fused with equal calls of other members, for each kind of function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from nas_engine_cgo.kinds import losses
from nas_engine_cgo.kinds.fused import bound
from nas_engine_cgo.members import Call, Program, Ref, refs_in

__all__ = [
    "Condition",
    "always",
    "attention",
    "baddbmm",
    "class_loss",
    "concatenate",
    "convolution",
    "dropout",
    "einsum",
    "elementwise",
    "elementwise_loss",
    "embedding",
    "filled",
    "getitem",
    "group_norm",
    "images",
    "linear",
    "matmul",
    "matrix",
    "normalization",
    "one_input",
    "one_result",
    "pad",
    "pieces",
    "plain",
    "reduction",
    "sizes",
    "spatial",
]

Condition: TypeAlias = Callable[[Call, Program], bool]


def _shape(program: Program, value: Any) -> tuple[int, ...]:
    return program.facts[value.id].shape if isinstance(value, Ref) else ()


def always(_call: Call, _program: Program) -> bool:
    """Any call."""
    return True


def one_result(call: Call, _program: Program) -> bool:
    """Whether it makes one tensor."""
    return len(call.outputs) == 1


def one_input(call: Call, program: Program) -> bool:
    """Whether it makes one tensor from one that has dimensions."""
    inputs = call.inputs
    return len(inputs) == 1 and len(call.outputs) == 1 and program.facts[inputs[0]].shape != ()


def elementwise(call: Call, program: Program) -> bool:
    """Without a format in memory; what is written has the shape of the result."""
    if len(call.outputs) != 1 or not call.inputs:
        return False
    if any(isinstance(value, torch.memory_format) for value in (*call.args, *call.kwargs.values())):
        return False  # A stack has one dimension more than the format is for.
    made = call.outputs[0]
    return not call.writes or program.facts[made].shape == program.facts[call.inputs[0]].shape


def filled(call: Call, program: Program) -> bool:
    """By a number: torch takes no tensor that has a dimension, as a stack of numbers has."""
    value = bound(call.args, call.kwargs, input=None, mask=None, value=None)["value"]
    return not isinstance(value, Ref) and elementwise(call, program)


def convolution(call: Call, program: Program) -> bool:
    """Of batches."""
    given = bound(call.args, call.kwargs, input=None, weight=None)
    x, weight = given["input"], given["weight"]
    return isinstance(x, Ref) and len(_shape(program, x)) == len(_shape(program, weight))


def linear(call: Call, program: Program) -> bool:
    """A matrix, and at most a vector, of weights."""
    given = bound(call.args, call.kwargs, input=None, weight=None, bias=None)
    bias = given["bias"]
    return (
        len(_shape(program, given["weight"])) == 2
        and _shape(program, given["input"]) != ()
        and (bias is None or len(_shape(program, bias)) == 1)
    )


def matmul(call: Call, program: Program) -> bool:
    """Matrices or stacks of such, and such by a vector."""
    ranks = [len(program.facts[n].shape) for n in call.inputs]
    if call.name == "__rmatmul__":
        ranks.reverse()
    return len(ranks) == 2 and ranks[0] >= 2 and ranks[1] >= 1


def baddbmm(call: Call, program: Program) -> bool:
    """Stacks of matrices, and nothing is multiplied by a number."""
    return not call.kwargs and [len(program.facts[n].shape) for n in call.inputs] == [3, 3, 3]


def matrix(call: Call, program: Program) -> bool:
    """One matrix."""
    return one_input(call, program) and len(program.facts[call.inputs[0]].shape) == 2


def einsum(call: Call, _program: Program) -> bool:
    """An equation in letters that says what comes out."""
    equation, *operands = call.args
    return (
        isinstance(equation, str)
        and "->" in equation
        and not call.kwargs
        and all(isinstance(operand, Ref) for operand in operands)
        and equation.partition("->")[0].count(",") == len(operands) - 1
    )


def normalization(call: Call, program: Program) -> bool:
    """Channels, and statistics that can be changed in place."""
    given = bound(
        call.args, call.kwargs, input=None, running_mean=None, running_var=None, weight=None,
        bias=None,
    )  # fmt: skip
    statistics = (given["running_mean"], given["running_var"])
    # What is computed can't be changed in place.
    computed = any(isinstance(v, Ref) and v.id not in program.sources for v in statistics)
    return len(_shape(program, given["input"])) >= 2 and not computed


def group_norm(call: Call, program: Program) -> bool:
    """Channels."""
    return len(_shape(program, bound(call.args, call.kwargs, input=None)["input"])) >= 2


_ALONG = frozenset({"softmax", "_safe_softmax", "log_softmax", "glu", "cumsum", "logsumexp"})
"""Functions that need a dimension."""


def reduction(call: Call, program: Program) -> bool:
    """Along dimensions that are known, or over all elements."""
    given = bound(call.args, call.kwargs, input=None, dim=None)
    ref, dimension = given["input"], given["dim"]
    if len(call.inputs) != 1 or not isinstance(ref, Ref) or _shape(program, ref) == ():
        return False
    if dimension is None or dimension == () or dimension == []:
        more = len(call.args) > 2 or call.kwargs.keys() - {"input", "dim", "dtype"}
        return call.name not in _ALONG and not more
    numbers = dimension if isinstance(dimension, (tuple, list)) else (dimension,)
    return all(type(number) is int for number in numbers)


def sizes(call: Call, program: Program) -> bool:
    """One tensor, and numbers: one by one, or as one tuple."""
    if len(call.inputs) != 1 or len(call.outputs) != 1 or not isinstance(call.args[0], Ref):
        return False
    rest = (*call.args[1:], *call.kwargs.values())
    flat = rest[0] if len(rest) == 1 and isinstance(rest[0], (tuple, list)) else rest
    return (
        bool(flat)
        and _shape(program, call.args[0]) != ()
        and all(type(size) is int for size in flat)
    )


def plain(call: Call, program: Program) -> bool:
    """One tensor with dimensions, first, and numbers, also in tuples."""
    if not call.args or not isinstance(call.args[0], Ref) or not one_input(call, program):
        return False
    return all(_numbers(value) for value in (*call.args[1:], *call.kwargs.values()))


def pieces(call: Call, program: Program) -> bool:
    """A tensor that is cut into several."""
    first = call.args[0] if call.args else None
    return (
        len(call.inputs) == 1
        and isinstance(first, Ref)
        and _shape(program, first) != ()
        and all(_numbers(value) for value in (*call.args[1:], *call.kwargs.values()))
    )


def _numbers(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_numbers, value))
    return type(value) is int


def getitem(call: Call, _program: Program) -> bool:
    """By numbers, slices, ``None`` and ``...``."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    known = all(
        item is None or item is Ellipsis or type(item) is int or _plain_slice(item)
        for item in index
    )
    return known and len(call.inputs) == 1


def _plain_slice(item: Any) -> bool:
    return isinstance(item, slice) and not any(True for _ in refs_in(item))


def concatenate(call: Call, program: Program) -> bool:
    """Tensors with the same number of dimensions."""
    given = bound(call.args, call.kwargs, tensors=None, dim=0)
    parts, dimension = given["tensors"], given["dim"]
    if not isinstance(parts, (tuple, list)) or given.keys() - {"tensors", "dim"}:
        return False
    ranks = {len(_shape(program, part)) for part in parts}
    return type(dimension) is int and len(ranks) == 1 and 0 not in ranks


def spatial(dimensions: int) -> Condition:
    """A function of batches of images: no unbatched input, no indices wanted."""

    def condition(call: Call, program: Program) -> bool:
        if len(call.inputs) != 1 or len(call.outputs) != 1:
            return False
        return len(program.facts[call.inputs[0]].shape) == dimensions + 2

    return condition


def images(call: Call, program: Program) -> bool:
    """Batches with channels."""
    return one_input(call, program) and len(program.facts[call.inputs[0]].shape) >= 3


def pad(call: Call, program: Program) -> bool:
    """All but the first two dimensions."""
    given = bound(call.args, call.kwargs, input=None, pad=(), mode="constant", value=None)
    rank = len(_shape(program, given["input"]))
    return one_input(call, program) and rank >= 3 and len(given["pad"]) <= 2 * (rank - 2)


_BATCHED = {"dropout1d": (3,), "dropout2d": (3, 4), "dropout3d": (5,)}
"""The ranks for which torch takes the first dimension as the batch."""


def dropout(call: Call, program: Program) -> bool:
    """Of batches, where whole channels are dropped; not of everything."""
    given = bound(call.args, call.kwargs, input=None, p=0.5, training=True)
    rank = len(_shape(program, given["input"]))
    return rank >= 1 and rank in _BATCHED.get(call.name, (rank,)) and 0 <= given["p"] < 1


def embedding(call: Call, _program: Program) -> bool:
    """A table that is only read."""
    given = bound(
        call.args, call.kwargs, input=None, weight=None, padding_idx=None, max_norm=None,
        norm_type=2.0, scale_grad_by_freq=False, sparse=False,
    )  # fmt: skip
    special = ("max_norm", "scale_grad_by_freq", "sparse")
    return not any(given[name] not in (None, False) for name in special)


def attention(call: Call, program: Program) -> bool:
    """Without dropout; a mask has at most as many dimensions as the values."""
    given = bound(
        call.args, call.kwargs, query=None, key=None, value=None, attn_mask=None, dropout_p=0.0
    )
    ranks = {len(_shape(program, given[name])) for name in ("query", "key", "value")}
    mask = given["attn_mask"]
    return (
        ranks == {4}
        and given["dropout_p"] == 0.0
        and (mask is None or len(_shape(program, mask)) <= 4)
    )


def class_loss(call: Call, program: Program) -> bool:
    """Of batches."""
    given = losses.arguments(call.args, call.kwargs)
    legacy = given["size_average"] is not None or given["reduce"] is not None
    return len(_shape(program, given["input"])) >= 2 and not legacy


def elementwise_loss(call: Call, program: Program) -> bool:
    """Outputs and a target of the same shape."""
    given = bound(call.args, call.kwargs, input=None, target=None)
    same = _shape(program, given["input"]) == _shape(program, given["target"])
    legacy = any(call.kwargs.get(name) is not None for name in ("size_average", "reduce", "weight"))
    return (
        len(call.inputs) == 2
        and len(call.args) <= 2
        and same
        and not legacy
        and _shape(program, given["input"]) != ()
    )
