"""Sizes of images and windows, given as torch takes them."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["Pair", "pair"]

Pair: TypeAlias = tuple[int, int]
"""One number for each of the two dimensions of an image."""


def pair(size: Any) -> Pair:
    """A size for both dimensions, if it was one number for the two.

    >>> pair(3), pair((3,)), pair([3, 5])
    ((3, 3), (3, 3), (3, 5))
    """
    both = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    return both[0], both[-1]
