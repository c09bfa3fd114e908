"""Functions of torch that are written down as the simpler ones that they consist of.

So that members share what is alike in them: attention of several members is products, a softmax
and dropout, whatever the number of heads. Each draws the random numbers that torch draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["one_hot", "simpler"]


def simpler(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], device: str
) -> Callable[[], Any] | None:
    """What computes the same as the call; None if it stays as it is.

    Args:
        name: of the function.
        args, kwargs: its arguments.
        device: the type of the device that it is for.

    >>> x = torch.randn(2, 3, 4)
    >>> simpler("relu", (x,), {}, "cpu") is None
    True
    """
    if name == "scaled_dot_product_attention":
        # Elsewhere than here dropout is part of a kernel, which draws in its own way.
        given = _named(args, kwargs, "query key value attn_mask dropout_p is_causal scale")
        if given.get("dropout_p", 0.0) == 0.0 or given.pop("enable_gqa", False) or device != "cpu":
            return None
        return lambda: _attention(**given)
    if name == "multi_head_attention_forward":
        given = _named(args, kwargs, _HEADS)
        if any(given.get(more) not in (None, False) for more in _RARE) or given["query"].dim() < 3:
            return None
        return lambda: _heads(given)
    if name in _CELLS and device == "cpu":
        return lambda: _CELLS[name](*args, **kwargs)
    if name == "dropout" and device != "cpu":
        # In place it is no kernel there, and draws as it does on a CPU.
        given = {"p": 0.5, "training": True, **_named(args, kwargs, "input p training inplace")}
        if given.pop("inplace", False) and given.pop("training") and 0 < given["p"] < 1:
            return lambda: _dropped(**given)
    return None


def _dropped(input: Tensor, p: float) -> Tensor:  # noqa: A002  As torch calls it.
    """``dropout`` in place."""
    return input.mul_(torch.bernoulli(input.detach(), 1 - p).div_(1 - p))


def _lstm_cell(
    x: Tensor, state: tuple[Tensor, Tensor], *parameters: Tensor
) -> tuple[Tensor, Tensor]:
    """``lstm_cell`` as torch computes it on a CPU, and so do the others."""
    hidden, cell = state
    gates = torch.add(*reversed(_projected_both(x, hidden, *parameters)))
    kept, forgotten, new, shown = gates.chunk(4, 1)
    cell = forgotten.sigmoid() * cell + kept.sigmoid() * new.tanh()
    return shown.sigmoid() * cell.tanh(), cell


def _gru_cell(x: Tensor, hidden: Tensor, *parameters: Tensor) -> Tensor:
    width = hidden.shape[1]
    (given, new), (held, old) = (
        torch.split(part, [2 * width, width], 1) for part in _projected_both(x, hidden, *parameters)
    )
    # By rows: what is joined in memory is computed by another kernel, which rounds otherwise.
    reset, update = (gate.sigmoid() for gate in torch.add(held, given).chunk(2, 1))
    new = (new + old * reset).tanh()
    return (hidden - new) * update + new


def _tanh_cell(x: Tensor, hidden: Tensor, *parameters: Tensor) -> Tensor:
    return torch.add(*reversed(_projected_both(x, hidden, *parameters))).tanh()


def _relu_cell(x: Tensor, hidden: Tensor, *parameters: Tensor) -> Tensor:
    return torch.add(*reversed(_projected_both(x, hidden, *parameters))).relu()


def _projected_both(
    x: Tensor,
    hidden: Tensor,
    given: Tensor,
    held: Tensor,
    given_bias: Tensor | None = None,
    held_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The projections of what a cell is given and of what it holds."""
    return functional.linear(x, given, given_bias), functional.linear(hidden, held, held_bias)


_CELLS: Mapping[str, Callable[..., Any]] = {
    "lstm_cell": _lstm_cell,
    "gru_cell": _gru_cell,
    "rnn_tanh_cell": _tanh_cell,
    "rnn_relu_cell": _relu_cell,
}


_HEADS = (
    "query key value embed_dim_to_check num_heads in_proj_weight in_proj_bias bias_k bias_v "
    "add_zero_attn dropout_p out_proj_weight out_proj_bias training key_padding_mask need_weights "
    "attn_mask use_separate_proj_weight q_proj_weight k_proj_weight v_proj_weight static_k "
    "static_v average_attn_weights is_causal"
)
_RARE = ("bias_k", "bias_v", "add_zero_attn", "static_k", "static_v")


def _named(args: tuple[Any, ...], kwargs: Mapping[str, Any], names: str) -> dict[str, Any]:
    return {**dict(zip(names.split(), args, strict=False)), **kwargs}


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """``scaled_dot_product_attention`` as torch computes it with dropout, to the bit."""
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    each = math.sqrt(abs(factor))
    scores = (query * math.copysign(each, factor)) @ (key.transpose(-2, -1) * each)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is None:
        weights = scores.softmax(-1)
    else:  # Where all is masked, zeros.
        scores = scores + _added(attn_mask, query.dtype)
        weights = torch._safe_softmax(scores, -1)  # noqa: SLF001  There is no public way.
    return functional.dropout(weights, dropout_p, True) @ value


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as numbers to add: of booleans, the false ones are left out."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask.logical_not(), -math.inf)


def _heads(given: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
    """``multi_head_attention_forward`` with batches of shape (length, batch, features)."""
    heads, training = given["num_heads"], given.get("training", True)
    parts = _projected(given)
    need_weights = given.get("need_weights", True)
    padding, mask = given.get("key_padding_mask"), given.get("attn_mask")
    causal = bool(given.get("is_causal", False)) and padding is None and not need_weights
    mask = None if causal else _mask(mask, padding, heads, parts[0].dtype)
    dropout = given["dropout_p"] if training else 0.0
    length, _, features = parts[0].shape
    query, key, value = (
        part.reshape(part.shape[0], -1, features // heads).transpose(0, 1) for part in parts
    )
    if need_weights:
        weights = _weights(query, key, mask, heads)
        if dropout > 0.0:
            weights = functional.dropout(weights, dropout)
        joined = torch.bmm(weights, value).transpose(0, 1).reshape(length, -1, features)
    else:
        query, key, value = (torch.unflatten(part, 0, (-1, heads)) for part in (query, key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, mask, dropout, causal)
        joined = mixed.permute(2, 0, 1, 3).flatten(-2)
    output = functional.linear(joined, given["out_proj_weight"], given["out_proj_bias"])
    if not need_weights:
        return output, None
    weights = torch.unflatten(weights, 0, (-1, heads))
    return output, weights.mean(1) if given.get("average_attn_weights", True) else weights


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """Weights of attention, all heads of a sample after those of the one before."""
    query, key = query * math.sqrt(1 / query.shape[-1]), key.transpose(-2, -1)
    if mask is None:
        return torch.bmm(query, key).softmax(-1)
    if mask.dim() == 4:
        mask = mask.expand(-1, heads, -1, -1).flatten(0, 1)
    return torch.baddbmm(mask if mask.dim() == 3 else mask[None], query, key).softmax(-1)


def _projected(given: dict[str, Any]) -> tuple[Tensor, ...]:
    """Query, key and value; those that are one tensor are projected by one product."""
    parts = query, key, value = given["query"], given["key"], given["value"]
    biases = given["in_proj_bias"]
    split = (None,) * 3 if biases is None else biases.chunk(3)
    if given.get("use_separate_proj_weight"):
        weights = tuple(given[f"{which}_proj_weight"] for which in "qkv")
        return tuple(map(functional.linear, parts, weights, split))
    weight = given["in_proj_weight"]
    if query is key is value:
        return tuple(functional.linear(query, weight, biases).chunk(3, -1))
    if key is value:
        features = query.shape[-1]
        of_query, of_both = weight.split([features, 2 * features])
        first, both = (None, None) if biases is None else biases.split([features, 2 * features])
        projected = functional.linear(key, of_both, both).chunk(2, -1)
        return functional.linear(query, of_query, first), *projected
    return tuple(map(functional.linear, parts, weight.chunk(3), split))


def _mask(
    mask: Tensor | None, padding: Tensor | None, heads: int, dtype: torch.dtype
) -> Tensor | None:
    """Both masks as numbers to add to scores of shape (batch, heads, length, source)."""

    def added(each: Tensor) -> Tensor:
        # Here, the true ones are left out.
        return _added(each.logical_not() if each.dtype == torch.bool else each, dtype)

    if mask is not None:
        mask = added(mask)
        if mask.dim() == 3:
            mask = torch.unflatten(mask, 0, (-1, heads))
    if padding is None:
        return mask
    padding = added(padding)[:, None, None]
    return padding if mask is None else mask + padding


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """``one_hot`` that does not look for the least and the largest class, where these are given.

    >>> one_hot(torch.tensor([1, 0]), 3)
    tensor([[0, 1, 0],
            [1, 0, 0]])
    """
    if num_classes < 1:
        return functional.one_hot(tensor, num_classes)
    zeros = tensor.new_zeros((*tensor.shape, num_classes))
    return zeros.scatter(-1, tensor.unsqueeze(-1), 1)  # Other classes are refused as well.
