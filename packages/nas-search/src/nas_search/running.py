"""The trials in flight: jobs out to the executor, finished trials back."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from nas_core.errors import NasError, nearest
from nas_core.failure import failure_text
from nas_core.protocols import Candidate, Job, Result

from nas_search.division import part_of
from nas_search.ending import explained
from nas_search.executors.inline import InlineExecutor
from nas_search.executors.protocol import Executor, WorkersError, error_of, submitted
from nas_search.logs import log_path, share_log, tail
from nas_search.pruning import Judging
from nas_search.recorder import StoreRecorder
from nas_search.replay import ReplayError, require_same
from nas_search.store import StoreError, Trial, TrialStore
from nas_search.work import LoadError, Work, pack, run_job

__all__ = ["Crew", "Limits", "Running", "TimeIsUp", "TooManyFailuresError"]

log = logging.getLogger("nas_search")

BROKEN_POOLS = 3
LOST_WORKERS = 3
"""How often one trial may lose its worker before it is taken for the cause."""
POLL_SECONDS = 0.5
"""How long a report may wait before it is told."""

ELSEWHERE_SECONDS = 0.1
"""How long a trial that runs elsewhere may have ended before it is noticed."""

RELEASE_SECONDS = 5.0
"""How often dead sessions are looked for while one of their trials may be waited for."""


class TooManyFailuresError(NasError, RuntimeError):
    """So many trials failed in a row that going on would only spend the budget."""


class TimeIsUp(Exception):  # noqa: N818  # not an error: the ordinary end of a timed run
    """The run has taken as long as it may."""


@dataclass(frozen=True)
class Limits:
    """When to stop what."""

    jobs: int
    trials: int
    lookahead: int
    trial_seconds: float | None
    deadline: float | None
    failures_in_a_row: int | None


@dataclass(frozen=True)
class Crew:
    """Who does the work, and where it is written."""

    plan: Callable[[Sequence[Candidate]], Sequence[Job]]
    merges: bool
    executor: Executor
    sent: Callable[[Work, tuple[int, ...]], Callable[[], Any]]
    recorder: StoreRecorder
    store: TrialStore
    folder: Path
    tell: Callable[..., None]
    shared: Mapping[int, Path]
    objectives: tuple[str, ...]
    judging: Judging | None = None


@dataclass
class Running:
    """Starts candidates, waits for trials, and forgets them when they have been waited for.

    What runs elsewhere, in another session of the same experiment, is waited for as well; what a
    dead session has left is run here.
    """

    crew: Crew
    limits: Limits
    _open: dict[int, Candidate] = field(default_factory=dict)
    """Those that were begun somewhere and not waited for yet."""
    _here: set[int] = field(default_factory=set)
    """Those of them that run in this session."""
    _ended: dict[int, Trial] = field(default_factory=dict)
    _batch: list[Candidate] = field(default_factory=list)
    _jobs: dict[Future[Any], Job] = field(default_factory=dict)
    _failures: int = 0
    _broken: int = 0
    _lost: Counter[int] = field(default_factory=Counter)
    _told: int = 0
    _warned: bool = False
    _released: float = 0.0

    def __post_init__(self) -> None:
        self._told = self.crew.store.last_report()  # Those are of earlier sessions.

    def start(self, candidate: Candidate) -> None:
        """Start a candidate that has not ended and runs nowhere, now if there is a free slot.

        An engine that merges candidates is given all that can be had without waiting.

        Raises:
            ReplayError: its number or its architecture is stored with another one.
            TimeIsUp: the deadline came before a slot was free.
        """
        self._open[candidate.number] = candidate
        if self._is_settled(candidate):
            return
        if not self.crew.merges:
            while len(self._jobs) >= self.limits.jobs:
                self._collect()
            self._check_time()
        self._begin(candidate)
        if not self.crew.merges:
            self._flush()

    def wait_for(self, number: int) -> Trial:
        """The finished trial of this number, which must have been started.

        Raises:
            TimeIsUp: the deadline came first.
        """
        self._wait(number, number + self.limits.lookahead)
        del self._open[number]
        return self._ended.pop(number)

    def wait_for_all(self) -> None:
        """Until nothing runs any more, here or elsewhere."""
        for number in self._open:
            self._wait(number, math.inf)

    @property
    def finished(self) -> int:
        """How many trials of the experiment have ended."""
        return self.crew.store.finished()

    def _wait(self, number: int, proposed: float) -> None:
        while number not in self._ended:
            self._flush(proposed)
            if number in self._here:
                self._collect()
            elif not self._is_settled(self._open[number]):
                self._begin(self._open[number])
            elif number not in self._ended:
                self._release_dead()
                self._collect(ELSEWHERE_SECONDS)

    def _is_settled(self, candidate: Candidate) -> bool:
        """Whether a candidate has ended, or is another session's to run."""
        trial = self.crew.store.trial(candidate.number)
        require_same(candidate, trial)
        if trial is None or trial.state == "running":
            return trial is not None and trial.session not in ("", self.crew.recorder.session)
        if candidate.number not in self._ended:
            self._ended[candidate.number] = trial
            self.crew.tell("nas_trial_learned", trial=trial)
        return True

    def _begin(self, candidate: Candidate) -> None:
        """Make a candidate this session's; another one may be faster."""
        number = candidate.number
        if not self.crew.store.begin(candidate, self.crew.recorder.session):
            if self.crew.store.trial(number) is None:
                raise ReplayError(
                    f"trial {number} would be {candidate.architecture.to_json()}, which is stored "
                    "under another number: has the strategy been changed?"
                )
            return
        self._here.add(number)
        self.crew.tell("nas_trial_started", number=number, architecture=candidate.architecture)
        self._batch.append(candidate)

    def _release_dead(self) -> None:
        now = time.monotonic()
        if now - self._released > RELEASE_SECONDS:
            self._released = now
            self.crew.store.release_dead(self.crew.recorder.session)

    def cancel(self) -> None:
        """Drop what has not begun; ``shutdown`` of the executor stops what has."""
        for future in self._jobs:
            future.cancel()

    def _flush(self, proposed: float = math.inf) -> None:
        """Submit what waits, but for trials that will be merged with some not yet proposed.

        Args:
            proposed: how many trials have been; infinite if there will be no more.
        """
        waiting, self._batch = self._batch, []
        for part, candidates in groupby(waiting, key=self._part):
            if part.stop > proposed:
                self._batch += candidates
                continue
            for job in self.crew.plan(list(candidates)):
                self._submit(job)

    def _part(self, candidate: Candidate) -> range:
        """The trials that the candidate is planned with."""
        number, limits = candidate.number, self.limits
        if not self.crew.merges:
            return range(number, number + 1)
        return part_of(number, lookahead=limits.lookahead, jobs=limits.jobs, trials=limits.trials)

    def _submit(self, job: Job) -> None:
        crew = self.crew
        if isinstance(crew.executor, InlineExecutor):
            future = crew.executor.submit(run_job, job, crew.recorder, crew.objectives)
        else:
            limit = self.limits.trial_seconds
            share_log(crew.folder, [each.number for each in job.candidates])
            work = Work(
                payload=pack(job, crew.shared),
                recorder=crew.recorder,
                time_limit=None if limit is None else limit * len(job.candidates),
                log=self._log(job),
                objectives=crew.objectives,
            )
            numbers = tuple(candidate.number for candidate in job.candidates)
            future = submitted(crew.executor, crew.sent(work, numbers))
        self._jobs[future] = job

    def _log(self, job: Job) -> Path:
        return log_path(self.crew.folder, job.candidates[0].number)

    def _collect(self, pause: float = POLL_SECONDS) -> None:
        """Wait for a moment, tell what has been reported, and settle the jobs that have ended."""
        deadline = self.limits.deadline
        left = math.inf if deadline is None else max(0.0, deadline - time.monotonic())
        if not self._jobs:
            time.sleep(min(left, pause))
        done, _ = wait(self._jobs, min(left, pause), return_when=FIRST_COMPLETED)
        self._tell_reports()
        for future in sorted(done, key=lambda one: self._jobs[one].candidates[0].number):
            job, error = self._jobs.pop(future), error_of(future)
            if error is None:
                self._pass_on(job, future.result())
            self._settle(job, error)
        self._check_time()

    def _check_time(self) -> None:
        deadline = self.limits.deadline
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeIsUp

    def _pass_on(self, job: Job, notes: Sequence[str]) -> None:
        numbers = tuple(candidate.number for candidate in job.candidates)
        for note in notes:
            log.info("trials %s: %s", numbers, note)
            self.crew.tell("nas_job_noted", numbers=numbers, note=note)

    def _settle(self, job: Job, error: BaseException | None) -> None:
        """Make each candidate of a job that has ended a finished trial."""
        if isinstance(error, StoreError | LoadError | WorkersError):
            raise error
        trials = [self._stored(candidate.number) for candidate in job.candidates]
        unfinished = [trial for trial in trials if self._is_mine(trial)]
        for trial in trials:
            if trial not in unfinished:
                self._finish(trial)
        if isinstance(error, BrokenExecutor):
            self._start_again(unfinished, job, error)
            return
        self._broken = 0
        if len(job.candidates) > 1 and unfinished:
            # One of them broke the job. Alone, each finds its own end.
            for trial in unfinished:
                for again in self.crew.plan([trial.candidate]):
                    self._submit(again)
            return
        for trial in unfinished:
            self._fail(trial, job, error)

    def _start_again(self, trials: Sequence[Trial], job: Job, error: BaseException) -> None:
        """The pool or a worker broke, not the job: it is submitted to another one."""
        self._broken += 1
        if self._broken >= BROKEN_POOLS * self.limits.jobs:
            raise WorkersError(
                f"worker processes end as soon as they start: {failure_text(error)}\n"
                'Look at what they printed above; executor="inline" runs without them'
            ) from error
        self._lost.update(trial.number for trial in trials)
        again = [trial for trial in trials if self._lost[trial.number] < LOST_WORKERS]
        if again:
            for each in self.crew.plan([trial.candidate for trial in again]):
                self._submit(each)
        for trial in trials:
            if trial not in again:
                self._fail(trial, job, error)

    def _fail(self, trial: Trial, job: Job, error: BaseException | None) -> None:
        path = self._log(job)
        output = tail(path, 4000) if path.is_file() else ""
        text = explained(error, self.limits.trial_seconds)
        if output:
            text += f"; its output is in {path}"
        seconds = time.time() - trial.started
        result = Result(trial.number, None, text, output or None, seconds)
        recorder = self.crew.recorder
        self.crew.store.finish(result, recorder.session, partial(recorder.drop, trial.number))
        self._finish(self._stored(trial.number))

    def _is_mine(self, trial: Trial) -> bool:
        return trial.state == "running" and trial.session == self.crew.recorder.session

    def _tell_reports(self) -> None:
        """Tell each report once, in the order in which its trial has made them."""
        for ordinal, number, report in self.crew.store.reports_after(self._told):
            self._told = ordinal
            if number in self._here:
                self.crew.tell(
                    "nas_trial_reported", number=number, step=report.step, metrics=report.metrics
                )

    def _finish(self, trial: Trial) -> None:
        """Take note of a trial that was run here; it may have been taken over meanwhile."""
        self._tell_reports()
        self._here.discard(trial.number)
        if trial.state == "running":
            return
        self._ended[trial.number] = trial
        self.crew.tell("nas_trial_finished", trial=trial)
        self._check_judged(trial)
        if trial.state != "failed":
            self._failures = 0
            log.info("trial %d %s: %s", trial.number, trial.state, trial.pruned or trial.metrics)
            return
        self._failures += 1
        log.warning("trial %d failed: %s", trial.number, trial.error)
        if self._failures == self.limits.failures_in_a_row:
            raise TooManyFailuresError(
                f"{_failed(self._failures, trial)} with: {trial.error}\nIts traceback is in the "
                "`details` of the trial, which `nas show` prints. The search stopped to save the "
                "rest of its budget; max_failures_in_a_row sets how many it accepts"
            )

    def _check_judged(self, trial: Trial) -> None:
        """Say once if the pruner waits for what nobody reports."""
        judging = self.crew.judging
        if judging is None or self._warned or trial.state != "completed":
            return
        reported = {name for report in trial.reports for name in report.metrics}
        if judging.metric not in reported:
            self._warned = True
            log.warning(
                "trial %d completed without reporting %r, by which the pruner judges: nothing is "
                "pruned so (reported: %s)%s",
                trial.number,
                judging.metric,
                ", ".join(sorted(reported)) or "nothing",
                nearest(judging.metric, reported),
            )

    def _stored(self, number: int) -> Trial:
        trial = self.crew.store.trial(number)
        if trial is None:
            raise StoreError(self.crew.store.place, f"trial {number} has vanished from the store")
        return trial


def _failed(in_a_row: int, last: Trial) -> str:
    if in_a_row == 1:
        return f"trial {last.number} failed"
    return f"{in_a_row} trials in a row failed, the last of them, trial {last.number},"
