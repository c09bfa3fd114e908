"""Time two things side by side, so that the machine's moods meet both alike."""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
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
    seconds = interleaved({"ours": ours, "theirs": theirs}, rounds, warm_up)
    return compared(seconds["ours"], seconds["theirs"])


def interleaved(
    ways: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """Run all in turn, the order reversed in every other round; give the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(-warm_up, rounds):
        for name in list(ways) if round_ % 2 else reversed(ways):
            elapsed = _timed(ways[name])
            if round_ >= 0:
                seconds[name].append(elapsed)
    return seconds


def compared(ours: Sequence[float], theirs: Sequence[float]) -> Comparison:
    """Compare the seconds of two that ran side by side."""
    paired = [a / b for a, b in zip(ours, theirs, strict=True)]
    low, _, high = statistics.quantiles(paired, n=4) if len(paired) > 1 else paired * 3
    a, b = map(statistics.median, (ours, theirs))
    return Comparison(a, b, a / b, low, high)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def rounds_asked_for(description: str | None, default: int) -> int:
    """Read from the command line how many rounds to run, and in how many threads; print both."""
    import torch  # Others compare the start of processes.

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=default)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} threads, {arguments.rounds} rounds")
    rounds: int = arguments.rounds
    return rounds
