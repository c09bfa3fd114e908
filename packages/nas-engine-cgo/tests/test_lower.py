"""What stands for a function of torch computes what it computes, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from nas_engine_cgo.members import lower
from torch import Tensor
from torch.nn import functional

BATCH, LENGTH, HEADS, WIDTH = 3, 6, 2, 5
FEATURES = HEADS * WIDTH


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums of several threads need not be repeatable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def found(function: Callable[..., Any], operands: list[Tensor]) -> list[Tensor]:
    """The results and the gradients of the operands."""
    given = [x.clone().requires_grad_() for x in operands]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = function(*given)
    results = [x for x in (made if isinstance(made, tuple) else (made,)) if x is not None]
    torch.autograd.backward(results, [drawn(*x.shape, seed=7) for x in results])
    return [x.detach() for x in results] + [x.grad for x in given if x.grad is not None]


def lowered(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        parts = lower.simpler(name, args, kwargs, "cpu")
        assert parts is not None
        return parts()

    return call


def assert_same(
    of: Callable[..., Callable[..., Any]], function: Callable[..., Any], operands: list[Tensor]
) -> None:
    """Compare what is made ``of`` a function and of what stands for it."""
    pairs = zip(
        found(of(function), operands),
        found(of(lowered(function.__name__)), operands),
        strict=True,
    )
    for one, other in pairs:
        assert torch.equal(one.nan_to_num(7), other.nan_to_num(7))


LOWER = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
BLIND = LOWER.clone()
BLIND[2] = False  # Sees nothing.


@pytest.mark.parametrize("lies", ["plain", "crosswise"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"attn_mask": LOWER},
        {"attn_mask": BLIND},
        {"attn_mask": drawn(LENGTH, LENGTH, seed=1)},
        {"is_causal": True},
        {"scale": 0.7},
        {"scale": -0.3},
    ],
    ids=["plain", "mask", "blind", "numbers", "causal", "scale", "negative"],
)
def test_attention_with_dropout(more: dict[str, Any], lies: str) -> None:
    sizes = (BATCH, HEADS, LENGTH, WIDTH) if lies == "plain" else (LENGTH, BATCH, HEADS, WIDTH)
    parts = [drawn(*sizes, seed=seed) for seed in range(3)]
    if lies == "crosswise":
        parts = [part.permute(1, 2, 0, 3) for part in parts]
    attention = functional.scaled_dot_product_attention
    assert_same(lambda function: partial(function, dropout_p=0.3, **more), attention, parts)


SEEN = LOWER.logical_not()
PADDING = torch.zeros(BATCH, LENGTH, dtype=torch.bool)
PADDING[:, -1] = True


@pytest.mark.parametrize("given", ["one", "memory", "three"])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize(
    "masks",
    [
        {},
        {"attn_mask": SEEN},
        {"attn_mask": drawn(LENGTH, LENGTH, seed=1)},
        {"attn_mask": drawn(BATCH * HEADS, LENGTH, LENGTH, seed=1)},
        {"key_padding_mask": PADDING},
        {"attn_mask": SEEN, "key_padding_mask": PADDING},
        {"attn_mask": SEEN, "is_causal": True},
    ],
    ids=["none", "mask", "numbers", "of heads", "padding", "both", "causal"],
)
def test_multi_head_attention(
    masks: dict[str, Any], dropout: float, need_weights: bool, given: str
) -> None:
    def of(attention: Callable[..., Any]) -> Callable[..., Any]:
        def call(*operands: Tensor) -> Any:
            *parts, weight, bias, out_weight, out_bias = operands
            parts = [part.transpose(0, 1) for part in parts]  # As modules have it, batch first.
            query, key, value = {1: parts * 3, 2: [parts[0], *parts[1:] * 2], 3: parts}[len(parts)]
            return attention(
                query, key, value, FEATURES, HEADS, weight, bias, None, None, False, dropout,
                out_weight, out_bias, need_weights=need_weights, **masks,
            )  # fmt: skip

        return call

    count = {"one": 1, "memory": 2, "three": 3}[given]
    operands = [drawn(BATCH, LENGTH, FEATURES, seed=seed) for seed in range(count)]
    operands += [drawn(3 * FEATURES, FEATURES), drawn(3 * FEATURES, seed=1)]
    operands += [drawn(FEATURES, FEATURES, seed=2), drawn(FEATURES, seed=3)]

    assert_same(of, functional.multi_head_attention_forward, operands)


@pytest.mark.parametrize("width", [5, 16, 32])
@pytest.mark.parametrize("kind", ["lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"])
def test_cells(kind: str, width: int) -> None:
    gates = {"lstm_cell": 4, "gru_cell": 3}.get(kind, 1) * width
    operands = [drawn(8, FEATURES), drawn(8, width, seed=1), drawn(8, width, seed=2)]
    operands += [drawn(gates, FEATURES, seed=3), drawn(gates, width, seed=4)]
    operands += [drawn(gates, seed=5), drawn(gates, seed=6)]

    def of(cell: Callable[..., Any]) -> Callable[..., Any]:
        def call(x: Tensor, hidden: Tensor, other: Tensor, *rest: Tensor) -> Any:
            return cell(x, (hidden, other) if kind == "lstm_cell" else hidden, *rest)

        return call

    assert_same(of, getattr(torch, kind), operands)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_in_place_on_a_gpu_is_what_it_is_here(p: float) -> None:
    """There, too, torch multiplies by a mask; out of place it has a kernel."""

    def dropped(of: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: of(x * 2, p, training=True, inplace=True)

    def on_gpu(*args: Any, **kwargs: Any) -> Tensor:
        parts = lower.simpler("dropout", args, kwargs, "cuda")
        assert parts is not None
        return parts()

    x = drawn(BATCH, FEATURES)
    pairs = zip(found(dropped(functional.dropout), [x]), found(dropped(on_gpu), [x]), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    changed = x.clone()
    assert on_gpu(changed, p, True, True) is changed
    for other in ({"training": False, "inplace": True}, {"inplace": False}, {"p": 1.0}):
        assert lower.simpler("dropout", (x,), other, "cuda") is None
    assert lower.simpler("dropout", (x, p, True, True), {}, "cpu") is None
