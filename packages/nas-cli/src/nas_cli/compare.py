"""``nas bench-engines``: how fast the installed engines are on a user's own space and evaluator."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from nas_core.wording import first_line

from nas_cli.command import command
from nas_cli.console import console, print_json, print_table, printable, results_only, table
from nas_cli.environment import plugins
from nas_cli.subject import Subject, candidates, load_subject, subject_options

if TYPE_CHECKING:
    import torch
    from nas_core import Candidate, Engine, Evaluator, Result
    from nas_core.plugins import Plugins

__all__ = ["bench_engines"]


@dataclass
class Run:
    """What is known of one engine.

    Attributes:
        name: the engine's.
        engine: itself; None if it can't take part.
        reason: why it can't, or the first error of a candidate.
        seconds: of each round, for all candidates together.
        metrics: those of each candidate, in the last round.
    """

    name: str
    engine: Engine | None = None
    reason: str | None = None
    seconds: list[float] = dataclasses.field(default_factory=list)
    metrics: dict[int, Mapping[str, float] | None] = dataclasses.field(default_factory=dict)


@command(
    "bench-engines",
    short_help="Compare the installed engines on a model space.",
    examples=(
        "nas bench-engines search.toml",
        "nas bench-engines net.py:Net --evaluator train.py:evaluator --candidates 32",
        "nas bench-engines search.toml --steps 20 --threads 1 --json",
    ),
)
@subject_options
@click.option(
    "--candidates",
    "count",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="How many random candidates; the same for all engines.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Optimiser steps of a candidate, where the evaluator is a SupervisedEvaluator; any other "
    "is taken as it is.",
)
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each runs."
)
@click.option("--threads", type=click.IntRange(1), help="Of torch.  [default: those of torch]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench_engines(
    target: str,
    evaluator: str | None,
    overrides: dict[str, Any],
    seed: int,
    count: int,
    steps: int,
    rounds: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Compare the installed engines on the space and the evaluator of TARGET.

    All train the same candidates, one engine after the other and so in every round, in this
    process. Time is the median over the rounds and includes making the models, but nothing that is
    loaded at the first step of all. TARGET is as for `nas plan`.
    """
    with results_only():
        subject = load_subject(target, evaluator, overrides)
        chosen = candidates(subject, (), count, seed)
        bounded = _bounded(subject.evaluator, steps)
        runs = _competitors(plugins(), subject)
        _use_threads(threads)
        _warm_up(runs, subject, chosen[0])
        for _ in range(rounds):
            for run in runs:
                if run.engine is not None:
                    _run(run, run.engine, subject.model, chosen, bounded)
    rows = _rows(runs, len(chosen))
    if as_json:
        print_json(rows)
    else:
        _print_rows(rows, len(chosen))


def _bounded(evaluator: Evaluator, steps: int) -> Evaluator:
    from nas_search.evaluators import SupervisedEvaluator

    if not isinstance(evaluator, SupervisedEvaluator):
        return evaluator
    return dataclasses.replace(evaluator, steps=steps)


def _use_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def _competitors(found: Plugins, subject: Subject) -> list[Run]:
    """All engines, those too that can't serve the space, with the reason."""
    from nas_core.errors import NasError

    runs = [Run(plugin.name, reason=f"broken: {plugin.reason}") for plugin in found.broken]
    config = subject.config
    # That of the configuration first: with it the others are compared.
    for name in sorted(found.engines, key=lambda each: (each != config.execution_engine, each)):
        options = config.engine_options if name == config.execution_engine else {}
        try:
            engine = found.engine(name, **options)
        except NasError as error:
            runs.append(Run(name, reason=str(error)))
            continue
        problems = "; ".join(map(str, engine.problems(subject.model, subject.evaluator)))
        runs.append(Run(name, None if problems else engine, problems or None))
    return runs


def _warm_up(runs: Sequence[Run], subject: Subject, candidate: Candidate) -> None:
    """Let each engine take a step that does not count: the first one of a process loads much.

    Not where a step can't be told from the rest, which may take hours.
    """
    step = _bounded(subject.evaluator, 1)
    if step is subject.evaluator:
        return
    for run in runs:
        if run.engine is not None:
            _run(dataclasses.replace(run, seconds=[]), run.engine, subject.model, [candidate], step)


def _run(
    run: Run,
    engine: Engine,
    model: torch.nn.Module,
    chosen: Sequence[Candidate],
    evaluator: Evaluator,
) -> None:
    """One round of one engine."""
    started = time.perf_counter()
    results: dict[int, Result] = {
        result.number: result
        for job in engine.plan(model, chosen, evaluator)
        for result in job.run(_Forgetful())
    }
    run.seconds.append(time.perf_counter() - started)
    run.metrics = {number: result.metrics for number, result in sorted(results.items())}
    errors = (result.error for result in results.values() if result.error)
    run.reason = next(errors, None)


class _Forgetful:
    """A recorder that keeps nothing."""

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def trained(self, number: int, model: torch.nn.Module) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def _rows(runs: Sequence[Run], count: int) -> list[dict[str, Any]]:
    """One row for each engine, the fastest first."""
    took = {run.name: statistics.median(run.seconds) for run in runs if run.seconds}
    fastest = min(took.values(), default=math.nan)
    reference = next((run for run in runs if run.seconds), None)
    rows = [
        {
            "engine": run.name,
            "seconds_per_candidate": took[run.name] / count if run.name in took else None,
            "ratio": took[run.name] / fastest if run.name in took else None,
            "failed": sum(m is None for m in run.metrics.values()) if run.seconds else None,
            "difference": _difference(run, reference) if run.seconds and reference else None,
            "compared_with": reference.name if run.seconds and reference else None,
            "reason": run.reason,
        }
        for run in runs
    ]
    return sorted(rows, key=lambda row: row["ratio"] or math.inf)


def _difference(run: Run, reference: Run) -> float | None:
    """The largest relative difference of a metric; None if there is none to compare."""
    pairs = [
        (value, other[name])
        for number, metrics in run.metrics.items()
        if metrics is not None and (other := reference.metrics.get(number)) is not None
        for name, value in metrics.items()
        if name in other
    ]
    differences = (abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0 for a, b in pairs)
    return max((each for each in differences if not math.isnan(each)), default=None)


def _print_rows(rows: Sequence[Mapping[str, Any]], count: int) -> None:
    out = console()
    numbers = ("s per candidate", "ratio", "failed")
    shown = table("engine", *numbers, "metrics", numbers=numbers)
    for row in rows:
        if row["ratio"] is None:
            shown.add_row(printable(row["engine"]), "-", "-", "-", "-")
            continue
        shown.add_row(
            printable(row["engine"]),
            f"{row['seconds_per_candidate']:.4f}",
            f"{row['ratio']:.2f}",
            f"{row['failed']} of {count}",
            _compared(row),
        )
    print_table(out, shown)
    for row in rows:
        if row["reason"]:
            out.print(f"\n{printable(row['engine'])}: {first_line(row['reason'])}")


def _compared(row: Mapping[str, Any]) -> str:
    if row["engine"] == row["compared_with"]:
        return "-"
    if row["difference"] is None:
        return "not comparable"
    other = printable(row["compared_with"])
    return (
        f"equal to {other}"
        if not row["difference"]
        else f"within {row['difference']:.1e} of {other}"
    )
