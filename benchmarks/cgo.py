"""Merged training against the ways in which one trains candidates without it.

Each workload is trained in all ways in turn: by a hand-written loop with PyTorch's defaults, by
the same loop tuned (one thread, fused optimiser, channels-last where that is faster, and on a GPU
CUDA graphs of the passes), by two processes, by the jobs of the engine `graph`, and by those of
`cgo`. Prints what each takes compared with `cgo`: above 1, `cgo` is faster. The workload `planning`
has no rival: it prints processor time, and how it grows.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import by_hand
import cloudpickle
import nas_core as nas
import torch
from cgo_workloads import WORKLOADS, Workload
from nas_core.testing import Recording
from nas_search.executors import LocalExecutor
from side_by_side import compared, interleaved

PLANNED = (32, 64, 128, 256)
PLANNED_WORKLOADS = ("mlp64", "nb201-8")
CLUSTER = 16


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Contest:
    """The ways to train one workload.

    Args:
        name: the workload.
        steps: how many steps each candidate takes.
        count: the threads that the engines use.
        device: what they are trained on.
        workers: two processes of one thread.
    """

    def __init__(
        self, name: str, steps: int, count: int, device: str, workers: LocalExecutor
    ) -> None:
        self.name, self.steps, self.threads, self.workers = name, steps, count, workers
        self.train = partial(by_hand.train, name, device=device)
        self.device = device
        self.workload: Workload = WORKLOADS[name]
        self.numbers = range(self.workload.count)
        self.channels_last = self._faster_in_channels_last()
        self.planned: dict[str, Sequence[nas.Job]] = {}
        self.halves: list[bytes] = []
        if not self.workload.whole:
            self.planned = {engine: list(self._jobs(engine)) for engine in ("graph", "cgo")}
            self.halves = list(self._pickled_halves())

    def ways(self) -> dict[str, Callable[[], object]]:
        """Give the name of each way, and the way."""
        found: dict[str, Callable[[], object]] = {
            "by hand": self._default,
            "by hand, tuned": self._tuned,
            "by hand, two processes": self._two_processes,
            "graph": partial(self._engine, "graph"),
            "cgo": partial(self._engine, "cgo"),
            "cgo, two processes": self._cgo_in_two_processes,
        }
        if self.name in ("heads8", "heads32"):
            found["by hand, tuned, features cached"] = self._cached
        if self.workload.widths:
            found["cgo, not widened"] = partial(self._engine, "cgo", widen=False)
        return found

    def _default(self) -> object:
        return self.train(self.numbers, self.steps)

    def _tuned(self, **options: Any) -> object:
        with threads(1):
            layout = self.channels_last
            return self.train(self.numbers, self.steps, tuned=True, channels_last=layout, **options)

    def _cached(self) -> object:
        return self._tuned(cached=True)

    def _two_processes(self) -> object:
        halves = [self.numbers[i::2] for i in range(2)]
        futures = [self.workers.submit(self.train, half, self.steps) for half in halves]
        return [future.result() for future in futures]

    def _engine(self, engine: str, **options: Any) -> object:
        planned = () if options else self.planned.get(engine, ())
        with threads(self.threads):
            for job in planned or self._jobs(engine, **options):
                check(sum(result.failed for result in job.run(Recording())))
        return None

    def _cgo_in_two_processes(self) -> object:
        jobs = self.halves or self._pickled_halves()  # One runs while the other is planned.
        futures = [self.workers.submit(by_hand.run_pickled, job) for job in jobs]
        return [check(future.result()) for future in futures]

    def _pickled_halves(self) -> Iterator[bytes]:
        chosen = self.workload.candidates()
        half = len(chosen) // 2
        return map(cloudpickle.dumps, self._jobs("cgo", chosen[:half], chosen[half:]))

    def _jobs(
        self, name: str, *batches: Sequence[nas.Candidate], **options: Any
    ) -> Iterator[nas.Job]:
        """The jobs of some batches of one search, or of all candidates."""
        engine, made = nas.engine(name, **options), self.workload.space()
        recipe = self.workload.recipe(self.steps, self.device)
        for chosen in batches or [self.workload.candidates()]:
            yield from engine.plan(made, chosen, recipe)

    def _faster_in_channels_last(self) -> bool:
        if len(self.workload.shape) != 3:
            return False
        with threads(1):
            ways = {
                str(last): partial(
                    self.train, [0], min(12, self.steps), tuned=True, channels_last=last
                )
                for last in (False, True)
            }  # fmt: skip
            seconds = interleaved(ways, rounds=3, warm_up=1)
        return min(seconds["True"]) < min(seconds["False"])


def check(failures: int) -> None:
    """Refuse to compare with what did not do the work."""
    if failures:
        raise SystemExit(f"{failures} candidates failed: nothing to compare")


def compare_ways(name: str, options: argparse.Namespace, workers: LocalExecutor) -> None:
    """Print how a workload fares."""
    workload = WORKLOADS[name]
    steps = max(12, workload.steps // 4) if options.quick else workload.steps
    contest = Contest(name, steps, options.threads, options.device, workers)
    rounds = 2 if options.quick else options.rounds
    ways = contest.ways()
    for _ in range(2):  # Three batches find out what is fastest: these, and the first round.
        for way in (ways[name] for name in ways if name.startswith("cgo")):
            way()
    seconds = interleaved(ways, rounds, warm_up=1)
    ours = seconds["cgo"]
    planning = "" if workload.whole else ", planned before"
    print(f"\n{name}: {workload.title}; batch {workload.batch}, {steps} steps{planning}")
    for way, theirs in seconds.items():
        result = compared(theirs, ours)
        per_candidate = 1000 * result.ours / workload.count
        note = "  below 0.97!" if _too_slow(workload, way, result.ratio) else ""
        print(
            f"  {way:<32} {per_candidate:>9.1f} ms  {result.ratio:>6.2f} "
            f"({result.low:.2f} to {result.high:.2f}){note}"
        )


def _too_slow(workload: Workload, way: str, ratio: float) -> bool:
    return workload.never_below and way == "graph" and ratio < 0.97


def time_planning(name: str, quick: bool) -> None:
    """Print what it takes to plan for more and more candidates of a workload."""
    print(f"\nplanning {name}: models, merged in clusters of {CLUSTER}, and all in one;")
    print("processor time, and its growth as the number of candidates doubles")
    print(f"  {'candidates':>10}  {'models':>15}  {f'clusters of {CLUSTER}':>15}  {'one':>15}")
    planning_seconds(WORKLOADS[name], 2)  # What is loaded on the way counts for none.
    before: list[float] = []
    for count in PLANNED[:2] if quick else PLANNED:
        seconds = planning_seconds(WORKLOADS[name], count)
        cells = [
            f"{now:.2f} s" + (f" x{now / then:.2f}" if then else "")
            for now, then in zip(seconds, before or [0.0] * 3, strict=True)
        ]
        print(f"  {count:>10}  {cells[0]:>15}  {cells[1]:>15}  {cells[2]:>15}")
        before = seconds


def planning_seconds(workload: Workload, count: int) -> list[float]:
    """Time the sources of so many candidates, and the merged code of them in parts and in one."""
    from nas_engine_cgo.options import Options

    chosen = workload.candidates(count)
    started = time.process_time()
    jobs = nas.engine("graph").plan(workload.space(), chosen, workload.recipe(64))
    seconds = [time.process_time() - started]
    for size in (CLUSTER, count):
        started = time.process_time()
        plan(jobs, Options(cluster_size=size, memory=1 << 40))
        seconds.append(time.process_time() - started)
    return seconds


def plan(jobs: Sequence[Any], options: Any) -> None:
    """Do what a job does before its first step."""
    from nas_engine_cgo.cohorts import assembled
    from nas_engine_cgo.cost import Memory, choose
    from nas_engine_cgo.train import Loop, Programs

    programs: Programs = {}
    for members in assembled(jobs, options, programs)[0]:
        choice = choose(members, options, Memory(), programs)
        loop = Loop(members, choice.clusters, choice.options, choice.prepared)
        batches = next(loop.batches())
        for cluster in loop.merged.clusters:
            loop.merged.code.of(cluster, batches, training=True)


def main() -> None:
    """Read the command line, and run what it names."""
    names = [*WORKLOADS, "planning"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"by default all of: {', '.join(names)}"
    )
    parser.add_argument("--threads", type=int, default=1, help="of the engines (default: 1)")
    parser.add_argument("--device", default="cpu", help="of torch, such as cuda (default: cpu)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a quarter of the steps, two rounds")
    options = parser.parse_args()
    if unknown := set(options.workloads) - set(names):
        parser.error(f"no workload {', '.join(sorted(unknown))} (there are: {', '.join(names)})")
    where = torch.cuda.get_device_name() if "cuda" in options.device else options.device
    print(f"torch {torch.__version__}, {where}; by hand {torch.get_num_threads()} threads, engines "
          f"{options.threads}; time per candidate, and compared with cgo (quartiles)")  # fmt: skip
    workers = LocalExecutor(workers=2, threads=1)
    try:
        for name in options.workloads or names:
            if name == "planning":
                for planned in PLANNED_WORKLOADS:
                    time_planning(planned, options.quick)
            else:
                compare_ways(name, options, workers)
    finally:
        workers.shutdown()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # What is timed on the way is found out here, and remembered within this run alone.
        os.environ["XDG_CACHE_HOME"] = folder
        main()
