"""The description as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas_engine_cgo.explain.describe import Cluster, Cohort, Described, Row
from nas_engine_cgo.tally import tally

__all__ = ["listed", "named", "size", "text"]


def text(described: Described) -> str:
    """What happens to whom, in the order in which it happens."""
    return "\n".join(_lines(described)) + "\n"


def _lines(described: Described) -> Iterator[str]:
    for candidate in described.candidates:
        yield f"candidate {candidate.number}: {candidate.architecture.to_json()}"
    yield ""
    for number, why in described.alone.items():
        yield f"candidate {number} alone: {why}"
    for cohort in described.cohorts:
        yield from _cohort(cohort)


def _cohort(cohort: Cohort) -> Iterator[str]:
    yield f"{named(cohort.numbers)} together"
    yield f"  {cohort.why}"
    for twin, first in cohort.twins.items():
        yield f"  candidate {twin} is candidate {first} in other names"
    functions = [cluster.function for cluster in cohort.clusters if cluster.function]
    if functions:
        yield f"  {tally(functions)}"
    for number, cluster in enumerate(cohort.clusters, 1):
        yield ""
        yield from (f"  {line}" for line in _cluster(number, cluster))


def _cluster(number: int, cluster: Cluster) -> Iterator[str]:
    numbers = (*cluster.numbers, *cluster.single)
    yield f"cluster {number}: {named(numbers)}, about {size(cluster.memory)} in a step"
    for single, why in cluster.single.items():
        yield f"  candidate {single} by itself: {why}"
    if cluster.function is None:
        return
    yield f"  {tally([cluster.function])}"
    shared = list(cluster.shared())
    if shared:
        yield "  computed once for several"
        yield from (f"    {line}" for line in _table(shared))
    yield "  steps"
    yield from (f"    {line}" for line in _table(list(cluster.steps())))


def _table(rows: Sequence[Row]) -> Iterator[str]:
    width = max(len(row.function) for row in rows)
    middle = max(len(listed(row.numbers)) for row in rows)
    for i, row in enumerate(rows, 1):
        yield (
            f"{i:>4}  {row.function:<{width}}  {len(row.numbers):>3} of them: "
            f"{listed(row.numbers):<{middle}}  {row.shapes}"
        )


def named(numbers: Sequence[int]) -> str:
    """Candidates by their numbers.

    >>> named([3]), named([0, 1, 2, 5])
    ('candidate 3', 'candidates 0-2, 5')
    """
    return f"candidate{'s' * (len(numbers) > 1)} {listed(numbers)}"


def listed(numbers: Sequence[int]) -> str:
    """Numbers in order, each once; three or more that follow each other as a range.

    >>> listed([4, 0, 1, 2, 5, 4])
    '0-2, 4, 5'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [
        [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(number) for number in run] for run in runs
    ]
    return ", ".join(part for each in parts for part in each)


def size(count: float) -> str:
    """Bytes for people.

    >>> size(900), size(3_500_000)
    ('900 bytes', '3.3 MiB')
    """
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.{int(unit != 'bytes')}f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
