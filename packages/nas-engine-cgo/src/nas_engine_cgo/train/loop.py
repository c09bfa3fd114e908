"""Steps and measurements of several members at once.

What ``nas_search.evaluators.training`` does for one model is done here for each member, in the same
order, with the same numbers from the same random streams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from nas_search.evaluators import SupervisedEvaluator
from nas_search.evaluators.data import Batch, Feed
from nas_search.evaluators.training import autocast, check_measurable, moves_of
from torch import Tensor

from nas_engine_cgo.exact import Verdicts
from nas_engine_cgo.options import Options
from nas_engine_cgo.train.available import available
from nas_engine_cgo.train.clusters import refilled
from nas_engine_cgo.train.features import Features, can_extend, extended
from nas_engine_cgo.train.feeds import feeds_of, opened
from nas_engine_cgo.train.graphed import Graphs, capturing
from nas_engine_cgo.train.members import Member, Tutor, can_be_wide, tutors_of
from nas_engine_cgo.train.merged import Merged
from nas_engine_cgo.train.optimizer import StackedOptimizer
from nas_engine_cgo.train.passes import Outcome, Passes, Recorder
from nas_engine_cgo.train.scaling import Scales
from nas_engine_cgo.train.silent import check_steps, schedules_watched
from nas_engine_cgo.train.taped import Tapes
from nas_engine_cgo.train.traces import Programs
from nas_engine_cgo.train.unstacked import UnstackedOptimizer
from nas_engine_cgo.train.watch import Watch

__all__ = ["Loop", "MemberError", "Prepared"]

_FEW_PASSES = 8
"""Batches for each trace to measure members on, for which merged code takes longer to make."""


class MemberError(Exception):
    """Something was raised while members ran together.

    Attributes:
        members: the numbers of the candidates that it may be.
    """

    def __init__(self, members: Sequence[int]) -> None:
        super().__init__(*members)
        self.members = tuple(members)


class Loop:
    """Members with all that their training needs."""

    def __init__(
        self,
        members: Sequence[Member],
        clusters: Sequence[Sequence[int]],
        options: Options,
        prepared: Prepared | None = None,
        verdicts: Verdicts | None = None,
        programs: Programs | None = None,
    ) -> None:
        self.members, self.options = list(members), options
        self.recipe: SupervisedEvaluator = members[0].recipe
        self.device = members[0].parameters[0].device
        self._size = max(map(len, clusters))
        self._taken = self._kept_at = 0  # Steps, and how many they were when some members left.
        self._lasted = 0  # Steps that it took till they did: others may leave after as many.
        self._feeds = opened(members, self.device, options.share_data)
        traced = {} if programs is None else programs
        self.prepared = prepared or Prepared(traced, verdicts or Verdicts())
        self._merge(clusters)
        if prepared is None and self._repeats():
            self._look_for_features(clusters)
        if (data := self.prepared.data) is not None:
            self._feeds = [feeds_of(members[0], self.device, data)]
        self.tutors: list[Tutor] = []
        self._optimizer: StackedOptimizer | None = None
        scaled = self.recipe.precision == "float16"
        self._scales = Scales(len(members), self.device) if scaled else None
        self._states: Mapping[Any, Any] = {}
        self._moved = False

    # ------------------------------------------------------------------ training

    def batches(self) -> Iterator[tuple[Batch, ...]]:
        """One epoch of the training data: a batch of each stream."""
        return zip(*(feeds.training.epoch() for feeds in self._feeds), strict=True)

    def step(self, batches: Sequence[Batch]) -> Tensor:
        """One step of all members; gives back their losses before it, shape ``(members,)``.

        Raises:
            MemberError: one of them raised.
        """
        with self._blame():
            outcomes = self.passes(self._run, batches)
            self.merged.has_trained()
            joined = torch.cat([loss.reshape(-1).double() for loss, _ in outcomes])
            self._update(self._optimizer or self._begin())
        self._taken += 1
        order = [member for _, members in outcomes for member in members]
        if order == sorted(order):
            return joined
        made = torch.empty_like(joined)
        made[order] = joined
        return made

    def _run(self, batches: Sequence[Sequence[Tensor]]) -> list[Outcome]:
        """The losses of all members; the gradients are left where they are trained."""
        found: list[Outcome] = []
        with self.watch.over("training"):
            for cluster in self.merged.clusters:
                with autocast(self.recipe, self.device):
                    outcomes = self.merged.losses(cluster, batches)
                # At once: so only one cluster's activations are kept.
                losses = [loss for loss, _ in outcomes]
                torch.autograd.backward(losses, [self._weight(*each) for each in outcomes])
                found += [(loss.detach(), members) for loss, members in outcomes]
        return found

    def _weight(self, loss: Tensor, members: Sequence[int]) -> Tensor:
        """What the gradients of losses are multiplied by."""
        if self._scales is None:
            return torch.ones_like(loss)
        return self._scales.of(members, loss.dtype).reshape(loss.shape)

    def _update(self, optimizer: StackedOptimizer) -> None:
        overflowed = None if self._scales is None else optimizer.unscale(self._scales.inverse())
        if largest := self._largest_norms():
            optimizer.clip(largest, self._paths)
        if self._scales is None or overflowed is None:
            optimizer.step()
        else:
            optimizer.step(overflowed.nonzero().flatten().tolist())
            self._scales.update(overflowed)
        optimizer.zero_grad()
        if self.recipe.schedule_every == "step":
            self._move(lambda _: math.nan)

    def end_epoch(self, metric: Callable[[int], float]) -> None:
        """Let schedules by epoch move on; some want to know a metric of a member."""
        if self.recipe.schedule_every == "epoch":
            self._move(metric)

    def _move(self, metric: Callable[[int], float]) -> None:
        moved = [tutor for tutor in self.tutors if tutor.schedule is not None and tutor.members]
        if not moved:
            return
        with schedules_watched(self.members, first=not self._moved):
            for tutor in moved:
                tutor.move(partial(metric, tutor.members[0]))
        self._moved = True
        if self._optimizer is not None:
            self._optimizer.refresh()

    def _begin(self) -> StackedOptimizer:
        """Make the optimiser: the first pass has laid out what it changes."""
        if not self.tutors:
            training = self._feeds[0].training
            moves = moves_of(self.recipe, training) if self.recipe.schedule else None
            with schedules_watched(self.members, first=True):
                self.tutors = tutors_of(self.members, moves)
            check_steps(self.tutors, self.merged.store.entries())
        tutor_of = {member: tutor for tutor in self.tutors for member in tutor.members}
        self.merged.store.close()
        entries = list(self.merged.store.entries())
        groups = [
            [
                tutor_of[member].group(self.merged.store.own(member, path))
                for member, path in entry.slots
            ]
            for entry in entries
        ]
        optimizer = StackedOptimizer if self.options.stack_optimizer else UnstackedOptimizer
        self._optimizer = optimizer(
            type(self.tutors[0].optimizer), entries, groups, self.options.exact, self._states
        )
        return self._optimizer

    def _largest_norms(self) -> dict[int, float]:
        norms = {i: member.recipe.clip_norm for i, member in enumerate(self.members)}
        return {i: norm for i, norm in norms.items() if norm is not None}

    def _paths(self, member: int) -> list[str]:
        return [path for path, _ in self.members[member].module.named_parameters()]

    # ------------------------------------------------------------------ measuring

    def outputs(self, which: str) -> tuple[list[list[Any]], list[Tensor]]:
        """All members' outputs on some data in evaluation mode by batch, and the targets.

        Raises:
            MemberError: one of them raised.
            ValueError: there is no data.
        """
        outputs: list[list[Any]] = [[] for _ in self.members]
        targets: list[list[Tensor]] = [[] for _ in self._feeds]
        run = self.merged.outputs_one_by_one if self._measures_little() else self.merged.outputs
        streams = (feeds.measured[which].epoch() for feeds in self._feeds)
        self.merged.take_over()
        with torch.no_grad(), self._blame():
            for batches in zip(*streams, strict=True):
                with autocast(self.recipe, self.device), self.watch.over("evaluation"):
                    outcomes = [
                        outcome
                        for cluster in self.merged.clusters
                        for outcome in run(cluster, batches)
                    ]
                for tensor, members in outcomes:
                    parts = tensor.unbind(0) if len(members) > 1 else (tensor,)
                    for member, part in zip(members, parts, strict=True):
                        outputs[member].append(part)
                for stream, batch in enumerate(batches):
                    targets[stream].append(batch[self._width(batch) - 1])
        check_measurable(targets[0], which)
        joined = [torch.cat(parts) for parts in targets]
        streams_of = self._stream_numbers()
        return outputs, [joined[s] for s in streams_of]

    def _measures_little(self) -> bool:
        """Whether code to measure by takes longer to make than it would save."""
        if self._has_frozen():
            return False  # Merged code computes once what all share.
        recipe, feeds = self.recipe, self._feeds[0]
        epoch, counts = feeds.training.batches, {n: f.batches for n, f in feeds.measured.items()}
        if not epoch or None in counts.values():
            return False
        steps = self._steps() - self._kept_at
        if self._taken - self._kept_at <= self._lasted:
            steps = min(steps, self._lasted)
        rounds = {"": math.ceil(steps / epoch / recipe.validate_every)}
        passes = sum((count or 0) * rounds.get(name, 1) for name, count in counts.items())
        # To see that bits are equal takes more than that by itself, for each member.
        made = len(self.members) if self.options.exact else self.merged.code.traces.kinds()
        return passes * len(self.members) <= _FEW_PASSES * made

    def feed(self, member: int) -> Feed:
        """The data that a member is validated on, as it is given."""
        return feeds_of(self.members[member], self.device).measured[""]

    def measured(self) -> list[str]:
        """The names of the data to measure on."""
        return list(self._feeds[0].measured)

    # ------------------------------------------------------------------ members

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these members only, at once and without a trace of the others.

        They are put together again, so that what is left of several clusters runs as one.
        """
        for member in members:
            self.merged.store.write_back(member)
        number = {old: new for new, old in enumerate(members)}
        if self._optimizer is not None:
            self._states = {
                (number[member], path): state
                for (member, path), state in self._optimizer.states().items()
                if member in number
            }
        if self._scales is not None:
            self._scales.keep(members)
        for tutor in self.tutors:
            tutor.members = [number[member] for member in tutor.members if member in number]
        if len(self._feeds) > 1:
            self._feeds = [self._feeds[member] for member in members]
        self.members = [self.members[member] for member in members]
        clusters = [[number[m] for m in cluster if m in number] for cluster in self.merged.clusters]
        self._optimizer = None
        self._lasted, self._kept_at = self._taken - self._kept_at, self._taken
        self._merge(refilled(clusters, self._size))

    def finished(self, member: int) -> torch.nn.Module:
        """The module of a member, brought up to date."""
        self.merged.store.write_back(member)
        self.merged.store.restore_layout(member)
        return self.members[member].module

    # ------------------------------------------------------------------ features

    def _repeats(self) -> bool:
        """Whether the same frozen layers will see the same data again, and bits don't count."""
        recipe, options = self.recipe, self.options
        if not (options.cache_features and options.share_data) or options.exact:
            return False
        again = recipe.epochs > 1 or recipe.steps is not None
        return again and self._has_frozen() and can_extend(recipe)

    def _has_frozen(self) -> bool:
        return any(member.has_frozen for member in self.members)

    def _look_for_features(self, clusters: Sequence[Sequence[int]]) -> None:
        """Compute what frozen layers make of the data, if there are such."""
        training, validation = self._feeds[0].training, self._feeds[0].measured[""]
        batch, other = next(training.epoch()), next(validation.epoch())
        # Reading has moved the order of the data on.
        self._feeds = opened(self.members, self.device, share=True)
        found = self.merged.code.features(batch, other, self._samples(), self._room())
        if found is not None:
            data = extended(self.recipe, found, self.device)
            self.prepared = replace(self.prepared, features=found, data=data)
            self._merge(clusters)

    def _samples(self) -> int:
        data = [self.recipe.train, self.recipe.validation, *self.recipe.also_measure.values()]
        return sum(len(part[0]) for part in data if isinstance(part, Sequence))

    def _room(self) -> int:
        return (self.options.memory or available(self.device)) // 4

    def _width(self, batch: Batch) -> int:
        """How many tensors of a batch are the recipe's own."""
        features = self.prepared.features
        return len(batch) if features is None else features.width

    # ------------------------------------------------------------------ merging

    def _merge(self, clusters: Sequence[Sequence[int]]) -> None:
        self.merged = merged = Merged(
            self.members,
            self._stream_numbers(),
            clusters,
            self.prepared.programs,
            self.prepared.features,
            self.prepared.verdicts,
            replace(self.options, widen=self._widens()),
        )
        self.watch = Watch([member.stream for member in self.members])
        self.passes = Passes(
            lambda: [entry.tensor for entry in merged.store.entries()],
            merged.is_fixed,
            self._recorder(),
        )

    def _widens(self) -> bool:
        return bool(self.options.widen) and can_be_wide(self.members) and not self.options.exact

    def _recorder(self) -> Recorder | None:
        """What repeats steps on this device."""
        if self.device.type == "cuda" and self.options.cuda_graph:
            return Graphs(capturing(self.device, [member.stream for member in self.members]))
        if self.device.type != "cpu" or not self.options.tape:
            return None
        tapes, steps = Tapes(), self._steps() - self._taken - self._lasted
        if steps < tapes.worth or (steps < tapes.worth_recurrent and self._is_recurrent()):
            return None
        tapes.first, tapes.patience = self._lasted, max(tapes.patience, self._lasted)
        return tapes

    def _is_recurrent(self) -> bool:
        """Whether a member has layers of which one call is many operators on a CPU."""
        layers = chain.from_iterable(member.module.modules() for member in self.members)
        return any(isinstance(layer, (torch.nn.GRU, torch.nn.RNN)) for layer in layers)

    def _steps(self) -> float:
        """How many there are in all, or would be without members that end early."""
        if self.recipe.steps is not None:
            return self.recipe.steps
        return self.recipe.epochs * (self._feeds[0].training.batches or math.inf)

    def _stream_numbers(self) -> list[int]:
        one = len(self._feeds) == 1
        return [0 if one else number for number in range(len(self.members))]

    @contextmanager
    def _blame(self) -> Iterator[None]:
        try:
            yield
        # The members are anybody's code.
        except (Exception, SystemExit) as error:
            suspects = self.merged.code.suspects(error) or tuple(range(len(self.members)))
            raise MemberError([self.members[i].candidate.number for i in suspects]) from error


@dataclass(frozen=True)
class Prepared:
    """What was found out about members before they are trained.

    Attributes:
        programs: those that were traced, by candidate, mode and shapes.
        verdicts: what is equal to the bit.
        features: what frozen layers make of the data.
        data: the recipe whose data has the features.
    """

    programs: Programs
    verdicts: Verdicts = field(default_factory=Verdicts)
    features: Features | None = None
    data: SupervisedEvaluator | None = None
