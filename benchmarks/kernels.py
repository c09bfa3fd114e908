"""Kernels of `cgo` against the functions of torch that they take the place of.

A forward and a backward pass on one thread, values of 8 members side by side, or layers to classes
of 64. Prints what torch takes compared with the kernel: above 1, the kernel is faster.
"""

import argparse
from collections.abc import Callable

import torch
from nas_engine_cgo import kernels
from side_by_side import compare
from torch import Tensor
from torch.nn import functional

SIZES = ((16, 8, 8), (16, 16, 4), (32, 8, 16), (16, 64, 16))
"""Batch, channels of a member, pixels of an image's edge."""
MEMBERS = 8
MANY = 64
CLASSES = 10
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def pass_of(function: Callable[..., Tensor], *tensors: Tensor) -> Callable[[], object]:
    """One forward and one backward pass."""
    felt = torch.randn_like(function(*tensors))
    return lambda: torch.autograd.grad(function(*tensors), tensors, felt)


def pairs(
    batch: int, channels: int, edge: int, memory_format: torch.memory_format
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """By name: a pass of a kernel, and one of torch's function."""
    x = torch.randn(batch, MEMBERS * channels, edge, edge)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(MEMBERS * channels, channels, 1, 1, requires_grad=True)
    own = torch.randn(MEMBERS * channels, 1, 5, 5, requires_grad=True)
    patches = torch.randn(2 * MEMBERS * channels, channels, 2, 2, requires_grad=True)
    settings = {"padding": 2, "groups": MEMBERS * channels}
    few = torch.randn(batch, MEMBERS * channels, 2, 2).contiguous(memory_format=memory_format)
    few.requires_grad_()
    windows = torch.randn(MEMBERS * channels, channels, 3, 3)
    windows = windows.contiguous(memory_format=memory_format).requires_grad_()
    return {
        "pixels": (
            pass_of(lambda x, w: kernels.pointwise(x, w, None, (1, 1), MEMBERS), x, weight),
            pass_of(lambda x, w: functional.conv2d(x, w, groups=MEMBERS), x, weight),
        ),
        "depthwise of 5x5": (
            pass_of(lambda x, w: kernels.conv2d(x, w, **settings), x, own),
            pass_of(lambda x, w: functional.conv2d(x, w, **settings), x, own),
        ),
        "patches of 2x2": (
            pass_of(lambda x, w: kernels.conv2d(x, w, stride=2, groups=MEMBERS), x, patches),
            pass_of(lambda x, w: functional.conv2d(x, w, stride=2, groups=MEMBERS), x, patches),
        ),
        "windows of 3x3 over 2x2 pixels": (
            pass_of(lambda x, w: kernels.conv2d(x, w, padding=1, groups=MEMBERS), few, windows),
            pass_of(lambda x, w: functional.conv2d(x, w, padding=1, groups=MEMBERS), few, windows),
        ),
        "mean of 3x3": (
            pass_of(lambda x: kernels.avg_pool2d(x, 3, 1, 1), x),
            pass_of(lambda x: functional.avg_pool2d(x, 3, 1, 1), x),
        ),
        "maximum of 3x3": (
            pass_of(lambda x: kernels.max_pool2d(x, 3, 1, 1), x),
            pass_of(lambda x: functional.max_pool2d(x, 3, 1, 1), x),
        ),
    }


def classes(batch: int, channels: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A pass of a layer to some classes, and one of torch's product."""
    x = torch.randn(MANY, batch, channels, requires_grad=True)
    weight = torch.randn(MANY, CLASSES, channels, requires_grad=True)
    turned = torch.randn(MANY, channels, CLASSES, requires_grad=True)
    bias = torch.randn(MANY, 1, CLASSES, requires_grad=True)
    return (
        pass_of(kernels.few_outputs, x, weight, bias),
        pass_of(lambda x, weight, bias: torch.baddbmm(bias, x, weight), x, turned, bias),
    )


def main() -> None:
    """Compare all, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for size in SIZES:
        ours, torchs = classes(*size[:2])
        print(f"{CLASSES} classes, {size[:2]}: {compare(torchs, ours, rounds)}")
        for layout, memory_format in FORMATS.items():
            for name, (ours, torchs) in pairs(*size, memory_format).items():
                print(f"{name}, {size}, {layout}: {compare(torchs, ours, rounds)}")


if __name__ == "__main__":
    main()
