"""What is computed in another way where the first one does not give the bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nas_engine_cgo.exact.write
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_engine_cgo.cache import cache_bytes, room_for_steps
from nas_engine_cgo.exact import ExactWriter, Verdicts, equality
from nas_engine_cgo.exact.convolution import member_convolution
from nas_engine_cgo.exact.equality import Verdict
from nas_engine_cgo.exact.strided import can_be_products, gradient_by_products
from nas_engine_cgo.exact.write import is_rounded_once
from nas_engine_cgo.kernels import log_softmax_of_few
from nas_engine_cgo.kinds import next_ways
from nas_engine_cgo.members import Call, Ref, trace
from nas_engine_cgo.packs import APART, AT_ONCE, OTHERWISE, Parts
from nas_engine_cgo.train.compiled import callable_of
from torch import Tensor, nn
from torch.nn import functional


def convolution(**how: Any) -> Call:
    return Call("conv2d", functional.conv2d, (Ref(0), Ref(1)), how, Ref(2))


STRIDED, PLAIN = convolution(stride=2), convolution(padding=1)
LOSS = Call("nll_loss", functional.nll_loss, (Ref(0), Ref(1)), {}, Ref(2))
SOFTMAX = Call("log_softmax", functional.log_softmax, (Ref(0), 1), {}, Ref(1))


@pytest.mark.parametrize(
    ("call", "before", "equal", "after"),
    [
        (PLAIN, (AT_ONCE,) * 3, (True, False, True), (AT_ONCE, APART, AT_ONCE)),
        (PLAIN, (AT_ONCE, APART, AT_ONCE), (True, False, True), None),
        (PLAIN, (AT_ONCE, APART, AT_ONCE), (False, True, True), (APART, APART, AT_ONCE)),
        (convolution(padding="same"), (AT_ONCE,) * 3, (True, False, True), None),
        (STRIDED, (AT_ONCE,) * 3, (True, False, False), (AT_ONCE, OTHERWISE, APART)),
        (STRIDED, (AT_ONCE,) * 3, (True, True, False), (AT_ONCE, AT_ONCE, APART)),
        (STRIDED, (AT_ONCE, OTHERWISE, APART), (True, False, True), (AT_ONCE, APART, APART)),
        (LOSS, (AT_ONCE,) * 3, (False, True, True), (APART, AT_ONCE, AT_ONCE)),
        (LOSS, (AT_ONCE,) * 3, (False, False, True), None),
        (SOFTMAX, (AT_ONCE,) * 2, (True, False), (OTHERWISE,) * 2),
        (SOFTMAX, (OTHERWISE,) * 2, (True, False), None),
    ],
)
def test_ways_come_one_after_the_other(
    call: Call, before: Parts, equal: tuple[bool, ...], after: Parts | None
) -> None:
    assert next_ways(call, before, equal) == after


@settings(deadline=None)
@given(
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    n=st.integers(1, 3),
)
def test_a_strided_gradient_is_products_of_matrices(
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    strides: tuple[int, int],
    n: int,
) -> None:
    size = [a * b for a, b in zip(stride, strides, strict=True)]
    if any(s + 2 * p < w for s, p, w in zip(size, padding, window, strict=True)):
        return
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(2, n * 3, *size, generator=generator, dtype=torch.float64)
    weight = torch.randn(n * 2, 3, *window, generator=generator, dtype=torch.float64)
    made = torch.conv2d(x.requires_grad_(), weight, None, stride, padding, 1, n)
    felt = torch.randn(made.shape, generator=generator, dtype=torch.float64)
    (expected,) = torch.autograd.grad(made, x, felt)
    found = gradient_by_products(felt, weight, n, size, stride, padding)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.is_contiguous()


@pytest.mark.parametrize("size", [(8, 8), (7, 8)])  # Without whole strides it is one by one.
@pytest.mark.parametrize("groups", [1, 3])
def test_other_ways_compute_the_same(size: tuple[int, int], groups: int) -> None:
    generator = torch.Generator().manual_seed(0)
    n, geometry = 2, ([2, 2], [1, 1], [1, 1], groups)
    x = torch.randn(4, n * 3, *size, generator=generator, dtype=torch.float64)
    weight = torch.randn(n * 6, 3 // groups, 3, 3, generator=generator, dtype=torch.float64)

    def run(function: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        given = [tensor.clone().requires_grad_() for tensor in (x, weight)]
        made = function(*given)
        return (made.detach(), *torch.autograd.grad(made.square().sum(), given))

    ways = (AT_ONCE, OTHERWISE, APART)
    found = run(lambda x, w: member_convolution(x, w, None, geometry, n, ways))
    wanted = run(lambda x, w: functional.conv2d(x, w, None, *geometry[:3], n * groups))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_only_windows_without_gaps_over_whole_strides_are_products() -> None:
    assert not can_be_products((8, 8), (2, 2), (2, 2))
    assert not can_be_products((8, 8), (1, 1), (1, 1))
    assert not can_be_products((8,), (2,), (1,))


@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 1, 1), (2, 24, 10), (3, 40, 15)])
def test_softmax_of_few(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    felt = torch.randn(shape, generator=generator, dtype=torch.float64)
    pairs = [
        (made.detach(), *torch.autograd.grad(made, x, felt))
        for made in (log_softmax_of_few(x), x.log_softmax(2))
    ]
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("equal", [True, False])
def test_where_bits_differ_softmax_is_that_of_torch(
    equal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(programs: Any, step: Any, shared: Any, write: Any) -> Verdict:
        function, _ = write([replace(p) for p in programs])
        right = equal or "log_softmax_of_few" not in function.source
        return Verdict(right, (right,) * len(shared))

    monkeypatch.setattr(nas_engine_cgo.exact.write, "compare", judged)
    nets = [nn.LogSoftmax(1) for _ in range(3)]
    programs = [trace(net, lambda net, x: net(x), [torch.zeros(4, 5)]) for net in nets]
    writer = ExactWriter(callable_of, Verdicts())
    source = writer.write(programs, range(3), {}).source
    assert ("log_softmax_of_few(" in source, "F.log_softmax(" in source) == (equal, not equal)


def _doubled(x: Tensor, y: Tensor) -> Tensor:
    return torch.relu(x + 2) * x - y


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, y: torch.relu(x), [True]),
        (_doubled, [True] * 4),
        (lambda x, y: torch.add(x, y, alpha=2), [False]),  # Rounded twice, or once.
        (lambda x, y: x + y[:1], [False, False]),  # A gradient is a sum.
        (lambda x, y: torch.exp(x), [False]),
        (lambda x, y: x / y, [False]),
        (lambda x, y: x.to(torch.complex64) * 1j, [False, False]),
    ],
)
def test_what_is_rounded_once(
    function: Callable[[Tensor, Tensor], Tensor], expected: list[bool]
) -> None:
    given = [torch.ones(3, 2), torch.ones(3, 2)]
    program = trace(nn.Module(), lambda _, x, y: function(x, y), given)
    assert [is_rounded_once(call, program) for call in program.calls] == expected


def test_many_members_are_tried_by_some_and_few_numbers_by_all() -> None:
    nets = [nn.Sequential(nn.Linear(4, 64), nn.Tanh()) for _ in range(24)]
    programs = [trace(net, lambda net, x: net(x), [torch.zeros(16, 4)]) for net in nets]
    counted: dict[str, list[int]] = {}
    verdict = equality._verdict

    def noting(trials: Any, function: Any, call: Any, back: bool, some: Any) -> Verdict:
        counted[trials[0].call.name] = list(some)
        return verdict(trials, function, call, back, some)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(equality, "_verdict", noting)
        ExactWriter(callable_of, Verdicts()).write(programs, range(24), {})
    assert counted["tanh"] == [0, 3, 6, 9, 13, 16, 19, 23]
    assert len(counted["linear"]) == 8
    assert equality._some(24, 8) == list(range(24))


def test_steps_of_exact_code_may_fill_half_of_the_cache() -> None:
    cpu = torch.device("cpu")
    assert room_for_steps(cpu, exact=True) == cache_bytes() // 2 == 2 * (room_for_steps(cpu) or 0)
    assert room_for_steps(torch.device("meta"), exact=True) is None
