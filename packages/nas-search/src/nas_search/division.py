"""Which trials one job answers for, where an engine merges candidates."""

from __future__ import annotations

__all__ = ["part_of"]


def part_of(number: int, *, lookahead: int, jobs: int, trials: int) -> range:
    """The trials of one job, this one among them: a matter of numbers, not of what ends first.

    As many trials as may run ahead are divided among the workers, in contiguous parts as equal as
    can be. The next as many are divided in the same way: when a part has ended, those trials can be
    proposed that replace it.

    Args:
        number: of a trial.
        lookahead: how many trials may run ahead.
        jobs: how many workers there are.
        trials: how many there will be at most.

    >>> [part_of(number, lookahead=5, jobs=2, trials=8) for number in (0, 3, 5, 7)]
    [range(0, 3), range(3, 5), range(5, 7), range(7, 8)]
    """
    first = number - number % lookahead
    count = min(lookahead, trials - first)
    size, larger = divmod(count, min(jobs, count))
    ends = [first + size * i + min(i, larger) for i in range(min(jobs, count) + 1)]
    start = max(end for end in ends if end <= number)
    return range(start, min(end for end in ends if end > number))
