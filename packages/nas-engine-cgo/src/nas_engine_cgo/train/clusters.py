"""Clusters: members that are merged with each other, at first and when some have left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["clusters_of", "refilled"]


def clusters_of(order: Sequence[int], size: int) -> list[list[int]]:
    """Clusters of at most so many members, as equal as can be.

    >>> clusters_of(range(10), 4)
    [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    """
    count = -(-len(order) // size)
    small, larger = divmod(len(order), count)
    bounds = [0]
    for i in range(count):
        bounds.append(bounds[-1] + small + (i < larger))
    return [list(order[a:b]) for a, b in pairwise(bounds)]


def refilled(clusters: Sequence[Sequence[int]], size: int) -> list[list[int]]:
    """Clusters of the same members, as few as hold them: places that are free are taken.

    Members are at the same step of the same training, whatever cluster they are in.

    >>> refilled([[0, 1], [], [2], [3]], 4), refilled([[0, 1, 2], [3, 4]], 4)
    ([[0, 1, 2, 3]], [[0, 1, 2], [3, 4]])
    """
    left = [list(cluster) for cluster in clusters if cluster]
    members = [member for cluster in left for member in cluster]
    return left if len(left) <= -(-len(members) // size) else clusters_of(members, size)
