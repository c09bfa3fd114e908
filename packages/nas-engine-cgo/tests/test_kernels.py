"""Faster kernels compute what torch's own do, and so do their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_engine_cgo.kernels import (
    avg_pool2d,
    avg_pool2d_in_order,
    batch_norm,
    conv2d,
    few_outputs,
    in_layout,
    max_pool2d,
    pointwise,
    relu,
    split,
)
from torch import Tensor
from torch.nn import functional as torch_own

windows = st.integers(1, 3)
channels = st.sampled_from((2, 64))  # With 64 there are enough elements for a detour.
formats = st.sampled_from((torch.contiguous_format, torch.channels_last))


def images(count: int, size: tuple[int, int], seed: int, memory_format: Any) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, count, *size, generator=generator)
    return x.contiguous(memory_format=memory_format).requires_grad_()


def assert_equal(
    kernel: Callable[..., Tensor], own: Callable[..., Tensor], *tensors: Tensor
) -> None:
    """Results and gradients are equal up to rounding, and lie in the same memory format."""
    made, expected = kernel(*tensors), own(*tensors)
    torch.testing.assert_close(made, expected)
    if all(size > 1 for size in made.shape):  # Else it may lie in both formats.
        assert made.is_contiguous() == tensors[0].is_contiguous()
    assert_gradients_close(made, expected, tensors, 1e-4)


def assert_gradients_close(
    made: Tensor, expected: Tensor, tensors: tuple[Tensor, ...], tolerance: float
) -> None:
    felt = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0))
    for gradients in zip(
        torch.autograd.grad(made, tensors, felt),
        torch.autograd.grad(expected, tensors, felt),
        strict=True,
    ):
        torch.testing.assert_close(*gradients, atol=tolerance, rtol=tolerance)


def arguments_of_mean(data: st.DataObject) -> tuple[Any, ...]:
    """What a mean pool is given besides the images."""
    window = data.draw(st.tuples(windows, windows))
    return (
        window,
        data.draw(st.none() | windows),
        data.draw(st.integers(0, min(window) // 2)),
        data.draw(st.booleans()),
        data.draw(st.booleans()),
        data.draw(st.none() | st.integers(1, 5)),
    )


@settings(deadline=None)
@given(st.data())
def test_mean(data: st.DataObject) -> None:
    arguments = arguments_of_mean(data)
    x = images(data.draw(channels), (22, 17), 1, data.draw(formats))
    assert_equal(
        lambda x: avg_pool2d(x, *arguments), lambda x: torch_own.avg_pool2d(x, *arguments), x
    )


@settings(deadline=None)
@given(st.data())
def test_mean_to_the_bit(data: st.DataObject) -> None:
    arguments = arguments_of_mean(data)
    x = images(data.draw(channels), (22, 17), 1, data.draw(formats))
    made, expected = avg_pool2d_in_order(x, *arguments), torch_own.avg_pool2d(x, *arguments)
    assert torch.equal(made, expected)
    assert_gradients_close(made, expected, (x,), 0.0)


@settings(deadline=None)
@given(st.data())
def test_maximum(data: st.DataObject) -> None:
    window = data.draw(windows)
    arguments = (
        window,
        data.draw(st.none() | windows),
        data.draw(st.integers(0, window // 2)),
        data.draw(st.integers(1, 2)),
        data.draw(st.booleans()),
    )
    x = images(data.draw(channels), (22, 17), 2, data.draw(formats))
    assert_equal(
        lambda x: max_pool2d(x, *arguments), lambda x: torch_own.max_pool2d(x, *arguments), x
    )
    made, expected = max_pool2d(x, *arguments), torch_own.max_pool2d(x, *arguments)
    assert torch.equal(made, expected)
    assert_gradients_close(made, expected, (x,), 0.0)


@pytest.mark.parametrize("pool", [avg_pool2d, avg_pool2d_in_order, max_pool2d])
def test_gradients_of_pools_lie_as_the_images_do(pool: Any) -> None:
    """What was before the pool is slow with gradients in another layout."""
    x = images(64, (22, 17), 2, torch.contiguous_format)
    felt = torch.randn_like(pool(x, 3, 1, 1))
    (found,) = torch.autograd.grad(pool(x, 3, 1, 1), x, felt)
    own = torch_own.max_pool2d if pool is max_pool2d else torch_own.avg_pool2d
    (expected,) = torch.autograd.grad(own(x, 3, 1, 1), x, felt)
    torch.testing.assert_close(found, expected)
    assert found.stride() == expected.stride()


def test_what_has_no_faster_way_is_torchs_own() -> None:
    x = images(64, (22, 17), 6, torch.contiguous_format).detach()
    for found, expected in zip(
        max_pool2d(x, 2, return_indices=True),
        torch_own.max_pool2d(x, 2, return_indices=True),
        strict=True,
    ):
        assert torch.equal(found, expected)
    assert torch.equal(avg_pool2d(input=x[0], kernel_size=3), torch_own.avg_pool2d(x[0], 3))
    assert torch.equal(avg_pool2d(x.double(), 3), torch_own.avg_pool2d(x.double(), 3))


def test_autocast_makes_of_them_what_it_makes_of_torchs_own() -> None:
    x = images(64, (22, 17), 7, torch.contiguous_format).detach()
    weight, bias = torch.randn(8, 32, 1, 1), torch.randn(8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(avg_pool2d(x, 3, 1, 1), torch_own.avg_pool2d(x, 3, 1, 1))
        assert torch.equal(max_pool2d(x, 3, 1, 1), torch_own.max_pool2d(x, 3, 1, 1))
        found = pointwise(x, weight, bias, (1, 1), 2)
        torch.testing.assert_close(found, torch_own.conv2d(x, weight, bias, groups=2))


@settings(deadline=None)
@given(st.data())
def test_convolution(data: st.DataObject) -> None:
    """Depthwise, of patches side by side, of few pixels, and any other."""
    inputs, outputs, groups = data.draw(st.sampled_from([(1, 1, 128), (3, 4, 2), (5, 3, 1)]))
    window = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)) | st.just((2, 2)))
    size = data.draw(st.sampled_from(((9, 7), (22, 17), (8, 12), (2, 2), (1, 3), (2, 1))))
    pads = st.tuples(st.integers(0, 3), st.integers(0, 3))
    geometry = (
        data.draw(st.tuples(windows, windows) | st.just(window)),
        data.draw(st.just((0, 0)) | pads),
        data.draw(st.just((1, 1)) | st.just((1, 2))),
    )
    x = images(inputs * groups, size, 8, data.draw(formats))
    generator = torch.Generator().manual_seed(9)
    weight = torch.randn(outputs * groups, inputs, *window, generator=generator, requires_grad=True)
    bias = torch.randn(outputs * groups, generator=generator, requires_grad=True)
    tensors = (x, weight, bias) if data.draw(st.booleans()) else (x, weight)
    if any(
        given + 2 * pad <= space * (taps - 1)
        for given, pad, space, taps in zip(size, geometry[1], geometry[2], window, strict=True)
    ):
        return  # The window is larger than the image.

    def kernel(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return conv2d(x, weight, bias, *geometry, groups)

    # In double precision, so that what differs is the kernel's.
    def own(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        doubles = [None if tensor is None else tensor.double() for tensor in (x, weight, bias)]
        return torch_own.conv2d(*doubles, *geometry, groups).float()  # type: ignore[arg-type]

    made, expected = kernel(*tensors), own(*tensors)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)
    assert_gradients_close(made, expected, tensors, 1e-3)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_torch_is_given_no_windows_that_lie_in_the_padding_alone(
    memory_format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For those of images in ``channels_last`` it reads memory that is not theirs."""
    paddings: list[Any] = []
    own = torch_own.conv2d

    def noting(*given: Any) -> Tensor:
        paddings.append(given[4])
        return own(*given)

    x = images(6, (2, 1), 12, memory_format)
    generator = torch.Generator().manual_seed(13)
    weight = torch.randn(8, 3, 2, 2, generator=generator, requires_grad=True)
    bias = torch.randn(8, generator=generator, requires_grad=True)
    doubles = (x.double(), weight.double(), bias.double())
    expected = own(*doubles, (2, 2), (1, 3), (1, 2), 2).float()
    monkeypatch.setattr(torch_own, "conv2d", noting)
    made = conv2d(x, weight, bias, (2, 2), (1, 3), (1, 2), 2)
    torch.testing.assert_close(made, expected)
    assert_gradients_close(made, expected, (x, weight, bias), 1e-4)
    assert all(padding == (0, 0) for padding in paddings)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("edge", "window", "padding"), [(2, 3, 1), (2, 2, 0), (1, 3, 1), (8, 1, 0)]
)
def test_what_a_convolution_gives_may_be_overwritten(
    edge: int, window: int, padding: int, memory_format: Any
) -> None:
    """As an activation does after it."""
    x = images(8, (edge, edge), 10, memory_format)
    weight = torch.randn(8, 4, window, window, generator=torch.Generator().manual_seed(11))
    weight.requires_grad_()

    def activated(own: Callable[..., Tensor]) -> Tensor:
        return own(x, weight, None, 1, padding, 1, 2).relu_()

    made, expected = activated(conv2d), activated(torch_own.conv2d)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
    assert_gradients_close(made, expected, (x, weight), 1e-4)


@settings(deadline=None)
@given(
    st.integers(1, 4), st.sampled_from((1, 3, 16)), st.sampled_from((2, 20)),
    st.tuples(windows, windows), st.booleans(), formats,
)  # fmt: skip
def test_pixels(
    n: int, inputs: int, outputs: int, stride: tuple[int, int], biased: bool, memory_format: Any
) -> None:
    x = images(n * inputs, (5, 6), 3, memory_format)
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(n * outputs, inputs, 1, 1, generator=generator)
    weight = weight.contiguous(memory_format=memory_format).requires_grad_()
    bias = torch.randn(n * outputs, generator=generator, requires_grad=True)
    tensors = (x, weight, bias) if biased else (x, weight)

    def kernel(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return pointwise(x, weight, bias, stride, n)

    # Of unequal strides in channels_last torch's own gradient writes where it must not.
    def own(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch_own.conv2d(x.contiguous(), weight.contiguous(), bias, stride, groups=n)

    assert_equal(kernel, own, *tensors)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_pixels_of_other_dimensions(dimensions: int) -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, 6, *(5, 4, 3)[:dimensions], generator=generator, requires_grad=True)
    weight = torch.randn(4, 3, *[1] * dimensions, generator=generator, requires_grad=True)
    own = (torch_own.conv1d, torch_own.conv2d, torch_own.conv3d)[dimensions - 1]
    stride = (2,) * dimensions
    assert_equal(
        lambda x, w: pointwise(x, w, None, stride, 2),
        lambda x, w: own(x, w, None, stride, groups=2),
        x, weight,
    )  # fmt: skip


@settings(deadline=None)
@given(st.data())
def test_normalisation(data: st.DataObject) -> None:
    """Of few and of many channels, so that a detour is taken or not; statistics included."""
    size = data.draw(st.sampled_from(((1, 1), (1, 2), (2, 2), (3, 2))))
    count = data.draw(st.sampled_from((2, 3000)))
    x = images(count, size, 6, data.draw(formats))
    affine, training = data.draw(st.booleans()), data.draw(st.booleans())
    generator = torch.Generator().manual_seed(7)
    scale, shift = (
        torch.randn(count, generator=generator).requires_grad_() if affine else None
        for _ in range(2)
    )
    learnt = [each for each in (x, scale, shift) if each is not None]
    kept: list[list[Tensor]] = []

    def called(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*_: Tensor) -> Tensor:
            statistics = [torch.zeros(count), torch.ones(count)]
            kept.append(statistics)
            return function(x, *statistics, scale, shift, training, 0.2, 1e-3)

        return call

    assert_equal(called(batch_norm), called(torch_own.batch_norm), *learnt)
    torch.testing.assert_close(*kept)


@pytest.mark.parametrize("count", [8, 20])
@pytest.mark.parametrize("kernel", ["mean", "normalisation", "pixels", "relu"])
def test_images_cut_out_of_others(kernel: str, count: int) -> None:
    """And gradients likewise: results lie by pixel, and values are torch's."""
    x = images(3 * count, (28, 28), 9, torch.channels_last)
    weight = torch.randn(count, count // 2, 1, 1, generator=torch.Generator().manual_seed(1))

    def taken(ours: bool) -> Tensor:
        match kernel, ours:
            case "mean", True:
                made = avg_pool2d(x[:, count : 2 * count], 3, 1, 1)
            case "mean", False:
                made = torch_own.avg_pool2d(x[:, count : 2 * count], 3, 1, 1)
            case "normalisation", _:
                normal = batch_norm if ours else torch_own.batch_norm
                made = normal(x[:, count : 2 * count], None, None, training=True)
            case "pixels", True:
                made = pointwise(x[:, count : 2 * count], weight, None, (1, 1), 2)
            case "pixels", False:
                made = torch_own.conv2d(x[:, count : 2 * count], weight, groups=2)
            case _:
                made = (relu if ours else torch_own.relu)(x[:, count : 2 * count])
        assert not made.is_contiguous()
        return torch.cat((x[:, :3], made, x[:, :5]), 1)

    made, expected = taken(True), taken(False)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
    assert_gradients_close(made, expected, (x,), 1e-5)


@settings(deadline=None)
@given(
    st.sampled_from((1, 3, 5)), st.sampled_from((1, 3, 5)), st.sampled_from((3, 40)), formats,
    st.booleans(), st.none() | st.integers(1, 5),
)  # fmt: skip
def test_mean_around_each_pixel(
    height: int, width: int, count: int, memory_format: Any, padded: bool, divisor: int | None
) -> None:
    """Such windows give an image of the same size, and their gradient is made in the same way."""
    pad = (height // 2, width // 2)
    arguments = ((height, width), 1, pad, False, padded, divisor)
    x = images(count, (30, 24), 4, memory_format)
    assert_equal(
        lambda x: avg_pool2d(x, *arguments), lambda x: torch_own.avg_pool2d(x, *arguments), x
    )


def test_gradients_come_back_in_the_order_of_the_values() -> None:
    x = images(3, (4, 5), 8, torch.channels_last)
    y = x * 2
    orders: list[bool] = []
    y.register_hook(lambda felt: orders.append(felt.is_contiguous()))
    (found,) = torch.autograd.grad(in_layout(y).mean((2, 3)).sum(), x)
    assert orders == [False]
    (expected,) = torch.autograd.grad((x * 2).mean((2, 3)).sum(), x)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("read", [(0, 1, 2), (1,), (2, 0)])
def test_parts_give_their_gradients_in_the_layout_of_the_whole(
    read: tuple[int, ...], memory_format: Any
) -> None:
    x = images(7, (4, 5), 0, memory_format)
    found, expected = (
        torch.autograd.grad(sum((parts[i] ** 2).sum() for i in read), x)[0]
        for parts in (split(x, (2, 4, 1), 1), x.split((2, 4, 1), 1))
    )
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=memory_format)


sizes = st.sampled_from((1, 3, 20))


@given(st.integers(1, 3), sizes, sizes, sizes, st.booleans(), st.booleans())
def test_few_outputs(
    members: int, batch: int, inputs: int, outputs: int, biased: bool, shared: bool
) -> None:
    generator = torch.Generator().manual_seed(0)

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64).requires_grad_()

    x = drawn(1, batch, inputs) if shared else drawn(members, batch, inputs)
    tensors = [x, drawn(members, outputs, inputs)]
    if biased:
        tensors.append(drawn(members, 1, outputs))

    def kernel(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return few_outputs(x.expand(members, -1, -1), weight, bias)

    def own(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return x @ weight.mT if bias is None else x @ weight.mT + bias

    made, expected = kernel(*tensors), own(*tensors)
    torch.testing.assert_close(made, expected, atol=1e-12, rtol=1e-12)
    felt = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    found, wanted = (torch.autograd.grad(each, tensors, felt) for each in (made, expected))
    for each, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(each, other, atol=1e-12, rtol=1e-12)
    assert found[1].is_contiguous()


def test_what_few_outputs_gives_may_be_written_into() -> None:
    x, weight = torch.randn(2, 32, 20), torch.randn(2, 3, 20, requires_grad=True)
    torch.testing.assert_close(
        torch.autograd.grad(few_outputs(x, weight, None).relu_().sum(), weight),
        torch.autograd.grad((x @ weight.mT).relu().sum(), weight),
    )


def test_autocast_makes_of_few_outputs_what_it_makes_of_torchs_own() -> None:
    x, weight, bias = torch.randn(2, 32, 20), torch.randn(2, 3, 20), torch.randn(2, 1, 3)
    tensors = [each.requires_grad_() for each in (x, weight, bias)]
    with torch.autocast("cpu", torch.bfloat16):
        made, expected = few_outputs(x, weight, bias), torch.baddbmm(bias, x, weight.mT)
    assert made.dtype == expected.dtype == torch.bfloat16
    found, wanted = (torch.autograd.grad(each.float().sum(), tensors) for each in (made, expected))
    for each, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(each, other, atol=0.05, rtol=0.05)
