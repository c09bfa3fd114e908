"""Where the elements of a tensor are in memory, if it is not one after the other."""

from __future__ import annotations

import math

__all__ = ["compact", "has_gaps", "overlaps"]


def compact(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides without what is there only because it was expanded.

    >>> compact((4, 3), (0, 1))
    ((1, 3), (3, 1))
    """
    sizes = tuple(1 if not step else size for size, step in zip(shape, strides, strict=True))
    usual, step = [], 1
    for size in reversed(sizes):
        usual.append(step)
        step *= size
    pairs = zip(strides, reversed(usual), strict=True)
    return sizes, tuple(step or other for step, other in pairs)


def overlaps(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether two elements may be in one place, besides by expansion.

    >>> overlaps((4, 3), (1, 1)), overlaps((4, 3), (1, 4)), overlaps((4, 3), (0, 1))
    (True, False, False)
    """
    last = 0
    steps = sorted((step, size) for size, step in zip(shape, strides, strict=True) if size > 1)
    for step, size in steps:
        if step and step <= last:
            return True
        last += step * (size - 1)
    return False


def has_gaps(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether there are places between those of the elements, of which none is that of two.

    >>> has_gaps((3, 2), (4, 1)), has_gaps((3, 2), (1, 3))
    (True, False)
    """
    steps = zip(shape, strides, strict=True)
    return 1 + sum((size - 1) * step for size, step in steps) > math.prod(shape)
