"""Jobs that answer for several candidates, and stay right when one of them breaks the rest."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from nas_core import Recorder, Result
from nas_core.failure import failure_text
from nas_core.protocols import Candidate
from nas_engine_graph.engine import GraphJob
from nas_search.evaluators import SupervisedEvaluator
from nas_search.memory import kept_memory
from platformdirs import user_cache_path

from nas_engine_cgo.cohorts import Apart, assembled, threads_of
from nas_engine_cgo.cost import Memory, choose, is_out_of_memory
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import (
    Member,
    MemberError,
    Programs,
    RefusedError,
    Twin,
    find_twins,
    modes_kept,
    train_together,
)

__all__ = ["CACHE", "MergedJob", "why_one_by_one"]

CACHE = user_cache_path("nas") / "cgo.json"
"""What was found out about this machine."""


@dataclass(frozen=True)
class MergedJob:
    """Several candidates, trained as one merged graph where that can be.

    Attributes:
        jobs: what would run each of them alone.
        options: how they are run together.
    """

    jobs: tuple[GraphJob, ...]
    options: Options = field(default_factory=Options)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Whom it answers for."""
        return tuple(candidate for job in self.jobs for candidate in job.candidates)

    def run(self, recorder: Recorder) -> Iterator[Result]:
        """Train all, and yield each result as soon as it is known."""
        once = recorder if isinstance(recorder, _Once) else _Once(recorder)
        jobs = {job.candidates[0].number: job for job in self.jobs}
        programs: Programs = {}
        cohorts, alone = assembled(self.jobs, self.options, programs)
        for note in _why_alone(alone, len(jobs)):
            once.note(note)
        for number, apart in alone.items():
            if apart.member is None:
                yield from jobs[number].run(once)
            else:
                yield apart.member.by_itself(once)
        for members in cohorts:
            theirs = [jobs[member.candidate.number] for member in members]
            with kept_memory():
                yield from self._together(members, theirs, once, programs)

    def _together(
        self,
        members: Sequence[Member],
        jobs: Sequence[GraphJob],
        recorder: _Once,
        programs: Programs,
    ) -> Iterator[Result]:
        """Train members as one; if that raises, without those that may be the cause.

        What none of these raises by itself was no fault of theirs, but of merging: that is said.
        """
        answered: set[int] = set()
        suspects: set[int] | None = None
        raised: BaseException | None = None
        try:
            for result in self._trained(members, recorder, programs):
                answered.add(result.number)
                yield result
        except MemberError as error:
            suspects, raised = set(error.members), error.__cause__ or error
            recorder.note(_why_not_together(sorted(suspects), raised))
        except RefusedError as error:
            suspects, raised = {job.candidates[0].number for job in jobs}, error
            recorder.note(_why_not_together(sorted(suspects), raised))
        # Reading data is anybody's code, too, and no single member's fault: each finds its own end.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            raised = error
            recorder.note(f"they can't be trained together: {failure_text(raised)}")
        left = [job for job in jobs if job.candidates[0].number not in answered]
        parts: Sequence[GraphJob | MergedJob] = left
        if suspects is not None:
            divided = _divided(left, suspects, known=isinstance(raised, RefusedError))
            parts = [p[0] if len(p) == 1 else MergedJob(tuple(p), self.options) for p in divided]
        failed = False
        for part in parts:
            for result in part.run(recorder):
                failed |= result.failed
                yield result
        if raised is not None and not failed:
            recorder.blame(raised)

    def _trained(
        self, members: Sequence[Member], recorder: _Once, programs: Programs
    ) -> Iterator[Result]:
        """The results of members; no twin has one of whose first the training fails."""
        once = self.options.twins == "once"
        with threads_of(members[0]), modes_kept(members):
            twins = find_twins(members, self.options) if once else []
            for twin in twins:
                number, first = twin.member.candidate.number, twin.first.candidate.number
                recorder.note(f"trial {number} is trial {first} in other names: trained once")
            copies = [twin.member for twin in twins]
            firsts = [member for member in members if member not in copies]
            choice = choose(firsts, self.options, Memory(CACHE), programs)
        shared = _Shared(recorder, twins)
        if choice.apart:
            recorder.note(f"{len(firsts)} trained one by one, {choice.why}")
            results: Iterable[Result] = (member.by_itself(shared) for member in firsts)
        else:
            results = train_together(
                firsts, choice.clusters, shared, choice.options, choice.prepared, choice.why
            )
        for result in results:
            yield result
            for twin in [] if result.failed else shared.twins[result.number]:
                yield replace(result, number=twin.member.candidate.number, seconds=0.0)


def _why_alone(alone: Mapping[int, Apart], count: int) -> Iterator[str]:
    """What to say of those that are trained by themselves, of so many; each reason once."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, apart in alone.items():
        numbers[apart.reason].append(number)
    for reason, theirs in numbers.items():
        if len(theirs) == count > 1:
            yield f"{count} trained one by one, {reason}"
        else:
            plural = "s" if len(theirs) > 1 else ""
            yield f"trial{plural} {', '.join(map(str, theirs))} alone: {reason}"


def _why_not_together(numbers: Sequence[int], raised: BaseException) -> str:
    """What ended the training of some trials in words; where it did, their own failures say."""
    if isinstance(raised, RefusedError) and raised.__cause__ is None:
        return f"trials {numbers} are trained by themselves: {raised}"
    each = isinstance(raised, RefusedError) and len(numbers) > 1
    cause = raised.__cause__ if isinstance(raised, RefusedError) else raised
    (text,) = traceback.format_exception_only(cause)[-1:]
    return f"{'each' if each else 'one'} of trials {numbers} raised: {text.strip()}"


def _divided(jobs: Sequence[GraphJob], suspects: set[int], known: bool) -> list[list[GraphJob]]:
    """Those that are not suspected, and the others in two halves: each begins anew.

    Where it is known that they have to be trained by themselves, each of them is.
    """
    culprits = [job for job in jobs if job.candidates[0].number in suspects] or list(jobs)
    sound = [job for job in jobs if job not in culprits]
    if known:
        return [part for part in (sound, *([job] for job in culprits)) if part]
    half = (len(culprits) + 1) // 2
    return [part for part in (sound, culprits[:half], culprits[half:]) if part]


class _Once:
    """A recorder that passes each report on once, also of a member that began anew."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._told: dict[int, int] = {}
        self._blamed = False

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        if step > self._told.get(number, -1):
            self._recorder.report(number, step, metrics)
            self._told[number] = step

    def trained(self, number: int, model: torch.nn.Module) -> None:
        self._recorder.trained(number, model)

    def note(self, text: str) -> None:
        self._recorder.note(text)

    def blame(self, error: BaseException) -> None:
        """Say once that merging raised what no trial raises, and where.

        Members that are refused, or have no room together, are no fault; a module that raises in
        the loop, and not by itself, is one.
        """
        if isinstance(error, RefusedError) and error.__cause__ is not None:
            error = error.__cause__
        if self._blamed or isinstance(error, RefusedError) or is_out_of_memory(error):
            return
        self._blamed = True
        *_, frame = traceback.extract_tb(error.__traceback__)
        self.note(
            f"no trial raised that by itself: merging is at fault, at {frame.filename}:"
            f"{frame.lineno}; please report it to nas-engine-cgo"
        )


class _Shared(_Once):
    """One that is given the trained models of twins, too."""

    def __init__(self, recorder: Recorder, twins: Sequence[Twin]) -> None:
        super().__init__(recorder)
        self.twins: dict[int, list[Twin]] = defaultdict(list)
        for twin in twins:
            self.twins[twin.first.candidate.number].append(twin)

    def trained(self, number: int, model: torch.nn.Module) -> None:
        super().trained(number, model)
        for twin in self.twins[number]:
            super().trained(twin.member.candidate.number, twin.trained(model))


def why_one_by_one(evaluator: object) -> str | None:
    """Why an evaluator is no recipe that can be followed for several models at once, if so."""
    kind = type(evaluator)
    if getattr(kind, "evaluate", None) is SupervisedEvaluator.evaluate:
        return None
    if isinstance(evaluator, SupervisedEvaluator):
        return f"{kind.__name__} trains in a way of its own: it overrides evaluate()"
    return f"{kind.__name__} is no SupervisedEvaluator, the recipe that several models can follow"
