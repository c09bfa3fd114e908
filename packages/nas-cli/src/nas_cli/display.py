"""Showing a running search: a live display on a terminal, plain lines everywhere else."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

from nas_core.wording import (
    architecture_text,
    duration_text,
    first_line,
    metrics_text,
    note_text,
    number_text,
)

from nas_cli.console import console, printable, table
from nas_cli.relay import own_stream, relayed

if TYPE_CHECKING:
    from nas_core import Architecture
    from nas_search import Trial
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["Display", "Lines", "Panel", "Scale", "Unread", "best_table", "display", "is_terminal"]

_SHOWN = 5


@dataclass(frozen=True)
class Scale:
    """What a display measures progress by.

    Attributes:
        name: of the experiment.
        total: the number of trials at the end.
        ended: the numbers of those that have ended already, in an earlier run or elsewhere.
        objectives: metric name → direction.
        best: the best trials, up to a number.
    """

    name: str
    total: int
    ended: frozenset[int]
    objectives: Mapping[str, str]
    best: Callable[[int], Sequence[Trial]]


class Display(Protocol):
    """An observer of a search, with the hooks of ``nas_core.hookspecs``."""

    def nas_trial_started(self, experiment: str, number: int, architecture: Architecture) -> None:
        """A trial begins."""

    def nas_trial_reported(
        self, experiment: str, number: int, step: int, metrics: Mapping[str, float]
    ) -> None:
        """A running trial has intermediate metrics."""

    def nas_job_noted(self, experiment: str, numbers: Sequence[int], note: str) -> None:
        """A job that has ended says how it ran."""

    def nas_trial_finished(self, experiment: str, trial: Trial) -> None:
        """A trial completed, failed or was pruned."""

    def nas_trial_learned(self, experiment: str, trial: Trial) -> None:
        """A trial has ended in another process, or in an earlier run."""


def is_terminal(stream: IO[str]) -> bool:
    """Whether a display may move the cursor there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def display(scale: Scale, stream: IO[str] | None = None) -> Iterator[Display]:
    """The display that suits a stream (standard output), until the block ends."""
    stream = sys.stdout if stream is None else stream
    if is_terminal(stream):
        with own_stream(stream) as terminal, Panel(scale, console(terminal)).live() as panel:
            yield panel
    else:
        yield Lines(scale, console(stream))


def best_table(trials: Sequence[Trial], objectives: Mapping[str, str]) -> Table:
    """The trials with their objectives, time and architecture; it says which were pruned."""
    arrows = {"maximize": "\u2191", "minimize": "\u2193"}
    metrics = {name: f"{printable(name)} {arrows[way]}" for name, way in objectives.items()}
    has_pruned = any(trial.state == "pruned" for trial in trials)
    numbers = ("trial", *metrics.values())
    made = table(*numbers, *["state"] * has_pruned, "time", "architecture", numbers=numbers)
    for trial in trials:
        values = trial.intermediate if trial.state == "pruned" else trial.metrics or {}
        made.add_row(
            str(trial.number),
            *(number_text(values[name]) if name in values else "-" for name in metrics),
            *[_state_text(trial)] * has_pruned,
            duration_text(trial.seconds),
            architecture_text(trial.architecture),
        )
    return made


def _state_text(trial: Trial) -> str:
    if trial.state != "pruned" or not trial.reports:
        return trial.state
    return f"pruned at step {trial.reports[-1].step}"


class Unread(KeyboardInterrupt):
    """Nobody reads what is shown any more: it stops a search as Ctrl-C does."""


@dataclass
class Lines:
    """One line for each trial that ends: for logs and pipes."""

    scale: Scale
    out: Console
    ended: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = set(self.scale.ended)

    def nas_trial_started(self, experiment: str, number: int, architecture: Architecture) -> None:
        """Say nothing: a line per trial is enough."""

    def nas_trial_reported(
        self, experiment: str, number: int, step: int, metrics: Mapping[str, float]
    ) -> None:
        """Say nothing."""

    def nas_job_noted(self, experiment: str, numbers: Sequence[int], note: str) -> None:
        """Print it before the trials that it is about."""
        self._say(note_text(numbers, note))

    def nas_trial_finished(self, experiment: str, trial: Trial) -> None:
        """Print what became of the trial."""
        from nas_search.observers.progress import ending_text

        self.ended.add(trial.number)
        self._say(ending_text(trial, len(self.ended), self.scale.total))

    def nas_trial_learned(self, experiment: str, trial: Trial) -> None:
        """Print it, too, if it has ended elsewhere since this began."""
        if trial.number not in self.ended:
            self.nas_trial_finished(experiment, trial)

    def _say(self, text: str) -> None:
        try:
            self.out.print(text, soft_wrap=True)
            self.out.file.flush()
        except (BrokenPipeError, SystemExit):  # Rich turns a closed pipe into an exit.
            raise Unread from None


class Panel:
    """A progress bar with the expected end, what runs, and the best trials so far."""

    def __init__(self, scale: Scale, out: Console) -> None:
        from rich import progress

        self._scale = scale
        self._out = out
        self._running: dict[int, str] = {}
        self._failed = 0
        self._pruned = 0
        self._known = set(scale.ended)
        self._begun = time.monotonic()
        self._ended = False
        self._best: RenderableType = ""
        self._bar = progress.Progress(
            progress.TextColumn(printable(scale.name), markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[left]}", markup=False),
            console=out,
        )
        self._task = self._bar.add_task("", total=scale.total, completed=len(scale.ended), left="")

    @contextlib.contextmanager
    def live(self) -> Iterator[Panel]:
        """Draw until the block ends; the last picture stays."""
        from rich.live import Live

        if self._scale.ended:
            self._rank()
        with (
            Live(
                get_renderable=self._picture,
                console=self._out,
                refresh_per_second=4,
                redirect_stdout=False,
                redirect_stderr=False,
            ),
            relayed(self._print_above),
        ):
            try:
                yield self
            finally:
                self._ended = True

    def nas_trial_started(self, experiment: str, number: int, architecture: Architecture) -> None:
        """Add the trial to those that run."""
        self._running[number] = str(number)

    def nas_trial_reported(
        self, experiment: str, number: int, step: int, metrics: Mapping[str, float]
    ) -> None:
        """Show how far the trial is."""
        self._running[number] = f"{number} ({step}: {metrics_text(metrics)})"

    def nas_job_noted(self, experiment: str, numbers: Sequence[int], note: str) -> None:
        """Print it above the display."""
        self._print_above(note_text(numbers, note))

    def nas_trial_finished(self, experiment: str, trial: Trial) -> None:
        """Move the bar, rank again; a failure gets a line of its own above the display."""
        self._running.pop(trial.number, None)
        if trial.state == "completed":
            self._rank()
        elif trial.state == "pruned":
            self._pruned += 1
        else:
            self._failed += 1
            self._print_above(f"trial {trial.number} failed: {first_line(trial.error)}")
        self._known.add(trial.number)
        self._bar.update(self._task, completed=len(self._known), left=self._left())

    def nas_trial_learned(self, experiment: str, trial: Trial) -> None:
        """Move the bar, too, if it has ended elsewhere since this began."""
        if trial.number not in self._known:
            self.nas_trial_finished(experiment, trial)

    def _left(self) -> str:
        """When it ends if trials go on to end as often as in this run so far."""
        done = len(self._known)
        pace = (time.monotonic() - self._begun) / (done - len(self._scale.ended))
        left = max(0, self._scale.total - done) * pace
        return f"ends in {duration_text(left)}" if left else ""

    def _rank(self) -> None:
        self._best = best_table(self._scale.best(_SHOWN), self._scale.objectives)

    def _print_above(self, line: str) -> None:
        self._out.print(printable(line))

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        if self._ended:
            return Group(self._bar, self._best)
        # Copy: the search changes it on another thread than the one that draws.
        running = ", ".join(list(self._running.values())) or "-"
        failed = f"   failed: {self._failed}" if self._failed else ""
        pruned = f"   pruned: {self._pruned}" if self._pruned else ""
        status = f"running: {running}{pruned}{failed}   (Ctrl-C stops; finished trials are kept)"
        return Group(self._bar, Text(status, style="dim"), self._best)
