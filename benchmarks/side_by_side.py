"""Time two things side by side, so that the machine's moods meet both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Median seconds of the two, their ratio, and the quartiles of the paired ratios."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.3f}x (quartiles {self.low:.3f} to {self.high:.3f})"


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, warm_up: int = 2
) -> Comparison:
    """Run both in turn, the first one changing places, and compare medians."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for round_ in range(-warm_up, rounds):
        order = (0, 1) if round_ % 2 else (1, 0)
        for which in order:
            elapsed = _timed((ours, theirs)[which])
            if round_ >= 0:
                seconds[which].append(elapsed)
    paired = [a / b for a, b in zip(*seconds, strict=True)]
    low, _, high = statistics.quantiles(paired, n=4)
    a, b = map(statistics.median, seconds)
    return Comparison(a, b, a / b, low, high)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
