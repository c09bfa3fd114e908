"""Train members to their ends: reports, divergence, metrics, each member by itself."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from operator import mul

import torch
from nas_core.candidate import checked_metrics
from nas_core.failure import failure_text
from nas_core.protocols import Recorder, Result
from nas_core.pruned import Pruned
from nas_search.evaluators import SupervisedEvaluator
from nas_search.evaluators.training import (
    check_finite,
    check_trained,
    measured_metrics,
    model_metrics,
)

from nas_engine_cgo.members.shared import Shared
from nas_engine_cgo.options import Options
from nas_engine_cgo.state import drawing
from nas_engine_cgo.tally import tally
from nas_engine_cgo.train.loop import Loop, Prepared
from nas_engine_cgo.train.members import Member
from nas_engine_cgo.train.silent import functions_in, unshared

__all__ = ["modes_kept", "train_together"]


def train_together(
    members: Sequence[Member],
    clusters: Sequence[Sequence[int]],
    recorder: Recorder,
    options: Options,
    prepared: Prepared | None = None,
    why: str = "",
) -> Iterator[Result]:
    """Train and measure members as their recipes say; one result for each, as soon as it is there.

    Args:
        members: their recipes differ at most in what a loop can tell apart.
        clusters: which of them are merged with each other.
        recorder: is told of intermediate metrics, of trained models, and how they ran.
        options: how they run.
        prepared: what was found out about them before.
        why: what decided the clusters, to tell the recorder.

    Raises:
        MemberError: one of them raised while they ran together.
    """
    with _surroundings(members):
        yield from _Course(Loop(members, clusters, options, prepared), recorder, why).run()


@dataclass
class _Progress:
    """What is known of a member so far."""

    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    details: str | None = None
    pruned: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.error is not None or self.pruned is not None

    def fail(self, error: BaseException) -> None:
        self.error = failure_text(error)
        self.details = "".join(traceback.format_exception(error))


class _Course:
    """The way of some members through the epochs."""

    def __init__(self, loop: Loop, recorder: Recorder, why: str) -> None:
        self._loop, self._recorder, self._why = loop, recorder, why
        self._progress = {member: _Progress() for member in loop.members}
        self._since = time.perf_counter()
        self._measuring: set[int] = set()  # Functions by identity.

    def run(self) -> Iterator[Result]:
        recipe = self._loop.recipe
        left = recipe.epochs if recipe.steps is None else recipe.steps
        for epoch in count(1):
            if left <= 0 or not self._loop.members:
                break
            steps, losses = self._epoch(None if recipe.steps is None else left, epoch)
            left -= 1 if recipe.steps is None else steps
            if epoch == 1:
                self._note()
            for member, loss in losses.items():
                with self._alone(member):
                    check_finite(loss, epoch)
            yield from self._drop_ended()
            if self._loop.members and (left <= 0 or epoch % recipe.validate_every == 0):
                self._measure("")
            yield from self._drop_ended()
            self._end_epoch(epoch, losses)
            yield from self._drop_ended()
        yield from self._conclude()

    def _note(self) -> None:
        count, done = len(self._loop.members), tally(self._loop.merged.code.functions())
        self._recorder.note(f"{count} trained as one, {self._why}; {done}")

    def _epoch(self, limit: int | None, epoch: int) -> tuple[int, dict[Member, float]]:
        """Train for an epoch, at most ``limit`` steps; the steps and the mean losses."""
        rows, sizes = [], []
        for batches in self._loop.batches():
            rows.append(self._loop.step(batches))
            sizes.append(len(batches[0][-1]))
            if len(rows) == limit:
                break
        check_trained(rows, epoch)
        samples = sum(sizes)
        means = [
            math.fsum(map(mul, losses, sizes)) / samples for losses in torch.stack(rows, 1).tolist()
        ]
        return len(rows), dict(zip(self._loop.members, means, strict=True))

    def _measure(self, which: str) -> None:
        """Measure all members on some data; a metric that raises fails its member alone."""
        outputs, targets = self._loop.outputs(which)
        measured = zip(self._loop.members, outputs, targets, strict=True)
        with torch.no_grad(), self._loop.watch.over("a metric"):
            for member, output, target in measured:
                own = _has_own_functions(member.recipe)
                # What it draws is what comes after the numbers that its model has drawn.
                drawn = drawing(member.stream, everything=True) if own else nullcontext()
                with self._unshared(member), self._alone(member), drawn:
                    # A copy: what a metric does to it is seen by no other member's.
                    given = target.clone() if own else target
                    found = measured_metrics(member.recipe, output, given, which)
                    self._progress[member].metrics |= found

    def _unshared(self, member: Member) -> AbstractContextManager[None]:
        """Sees that functions that measure for the first time change nothing that members share."""
        functions = functions_in([member.recipe.metrics, member.recipe.loss])
        new = [function for function in functions if id(function) not in self._measuring]
        self._measuring |= set(map(id, new))
        return unshared(Shared([], new), len(self._loop.members)) if new else nullcontext()

    def _end_epoch(self, epoch: int, losses: Mapping[Member, float]) -> None:
        main = next(iter(self._loop.recipe.objectives))
        for member in self._loop.members:
            metrics = self._progress[member].metrics
            metrics.pop("train_loss", None)  # Its place is after those that were measured.
            metrics["train_loss"] = losses[member]

        def metric(number: int) -> float:
            member = self._loop.members[number]
            return self._progress[member].metrics.get(main, losses[member])

        self._loop.end_epoch(metric)
        for member in self._loop.members:
            with self._alone(member):
                metrics = dict(self._progress[member].metrics)
                self._recorder.report(member.candidate.number, epoch, metrics)

    def _conclude(self) -> Iterator[Result]:
        """The last measurements, and the results of those that came so far."""
        if note := self._loop.passes.note:
            self._recorder.note(note)
        for which in self._loop.measured() if self._loop.members else ():
            if which or not any("train_loss" in p.metrics for p in self._progress.values()):
                self._measure(which)
        yield from self._drop_ended()
        for number, member in enumerate(self._loop.members):
            with self._alone(member):
                progress, module = self._progress[member], self._loop.finished(number)
                progress.metrics |= model_metrics(member.recipe, module, self._loop.feed(number))
                progress.metrics = checked_metrics(progress.metrics, member.recipe.objectives)
                self._recorder.trained(member.candidate.number, module)
        self._charge()
        for member in self._loop.members:
            yield self._result(member)

    # ------------------------------------------------------------------ members

    @contextmanager
    def _alone(self, member: Member) -> Iterator[None]:
        """What is raised in the block ends this member, unless it has failed before."""
        progress = self._progress[member]
        try:
            yield
        except Pruned as pruned:
            progress.pruned = pruned.reason
        # Metrics and recorders are anybody's code.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            if progress.error is None:
                progress.fail(error)

    def _drop_ended(self) -> Iterator[Result]:
        """The results of members that have failed or were pruned: they take no further part."""
        members = self._loop.members
        ended = [member for member in members if self._progress[member].has_ended]
        if not ended:
            return
        self._charge()
        kept = [number for number, member in enumerate(members) if member not in ended]
        if kept:
            self._loop.keep(kept)
        else:
            self._loop.members = []
        for member in ended:
            yield self._result(member)

    def _charge(self) -> None:
        """Share out the time since the last call among those that used it."""
        now = time.perf_counter()
        for member in self._loop.members:
            self._progress[member].seconds += (now - self._since) / len(self._loop.members)
        self._since = now

    def _result(self, member: Member) -> Result:
        found = self._progress[member]
        return Result(
            member.candidate.number,
            None if found.has_ended else found.metrics,
            found.error,
            found.details,
            found.seconds,
            found.pruned,
        )


def _has_own_functions(recipe: SupervisedEvaluator) -> bool:
    """Whether functions of the user's measure, which may draw numbers or write into targets."""
    named = not isinstance(recipe.metrics, Mapping) and not any(map(callable, recipe.metrics))
    return callable(recipe.loss) or not named


@contextmanager
def _surroundings(members: Sequence[Member]) -> Iterator[None]:
    """Leave the global generator, the threads and the mode of every module as they were."""
    threads = members[0].recipe.threads
    outer = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]), modes_kept(members):
        try:
            if threads is not None:
                torch.set_num_threads(threads)
            yield
        finally:
            torch.set_num_threads(outer)


@contextmanager
def modes_kept(members: Sequence[Member]) -> Iterator[None]:
    """Leave the mode of every module as it was."""
    modes = [(m, m.training) for member in members for m in member.module.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            if module.training is not training:
                module.training = training
