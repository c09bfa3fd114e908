"""What the option `exact` keeps of what merging gains, in first runs and in later ones.

Each round begins on a machine of which nothing is known, and trains each workload by the jobs of
the engine `graph`, by those of `cgo` and by those of `cgo` with `exact`, in turn, the latter two
several times. Prints the processor time of one thread, and the share of the gain over `graph` that
is kept: what `cgo` takes without `exact` for each second with it.
"""

import argparse
import gc
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nas_core as nas
import torch
from cgo_workloads import WORKLOADS, Workload
from nas_core.testing import Recording

KEPT = ("mlp64", "mlp16", "cnn8", "nb201-8", "nb201-16")


def trained(workload: Workload, engine: str, **options: Any) -> float:
    """Processor seconds of training all candidates."""
    gc.collect()  # What others have left is no part of it.
    started = time.thread_time()
    recipe = workload.recipe(workload.steps)
    planned = nas.engine(engine, **options).plan(workload.space(), workload.candidates(), recipe)
    for job in planned:
        if any(result.failed for result in job.run(Recording())):
            raise SystemExit("candidates failed: nothing to compare")
    return time.thread_time() - started


def compare(workload: Workload, known: Path, rounds: int, runs: int) -> None:
    """Print what is kept of the gain.

    Args:
        workload: what is trained.
        known: where engines keep what they have found out.
        rounds: how often all begins anew.
        runs: how many times each is trained in a round.
    """
    trained(workload, "graph")
    alone: list[float] = []
    pairs: list[list[tuple[float, float]]] = [[] for _ in range(runs)]
    for _ in range(rounds):
        shutil.rmtree(known, ignore_errors=True)
        alone.append(trained(workload, "graph"))
        for number in range(runs):
            pairs[number].append((trained(workload, "cgo"), trained(workload, "cgo", exact=True)))
    print(f"{workload.title}, {workload.steps} steps: graph {statistics.median(alone):.2f} s")
    for title, found in (
        ("first run", pairs[0]),
        ("second run", pairs[1] if runs > 1 else []),
        ("later runs", [pair for later in pairs[2:] for pair in later]),
    ):
        if found:
            print(f"  {title:<12} {_described(alone, found)}")


def _described(alone: Sequence[float], found: Sequence[tuple[float, float]]) -> str:
    kept = [fast / exact for fast, exact in found]
    fast, exact = (statistics.median(column) for column in zip(*found, strict=True))
    gains = [statistics.median(alone) / seconds for seconds in (fast, exact)]
    return (
        f"cgo {fast:.2f} s (gain {gains[0]:.1f}), exact {exact:.2f} s (gain {gains[1]:.1f}); "
        f"kept {statistics.median(kept):.2f} ({min(kept):.2f} to {max(kept):.2f})"
    )


def main() -> None:
    """Read the command line, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", default=KEPT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=4, help="of each in a round (default: 4)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # Read when the engine is imported.
        for name in options.workloads:
            compare(WORKLOADS[name], Path(folder) / "nas", options.rounds, options.runs)


if __name__ == "__main__":
    main()
