"""Features of frozen layers: computed once for the whole data, instead of in every epoch.

What a member computes from its inputs by frozen layers, sample by sample, is the same in every
epoch. It is computed beforehand and becomes one more tensor of the data, where programs read it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from nas_search.evaluators import SupervisedEvaluator
from nas_search.evaluators.data import is_tensors
from torch import Tensor

from nas_engine_cgo.members import Call, Program, Ref, Source, frozen_calls, prune, replaced
from nas_engine_cgo.members.calls import named_tensors
from nas_engine_cgo.merge import Slot, deduplicate

__all__ = ["Features", "can_extend", "extended", "find_features"]

_WORK = frozenset(
    {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
     "linear", "embedding"}
)  # fmt: skip
"""What is worth being computed once."""
_SAMPLEWISE = _WORK | frozenset(
    {"batch_norm", "layer_norm", "group_norm", "flatten", "relu", "gelu", "silu", "sigmoid", "tanh",
     "relu6", "elu", "leaky_relu", "hardswish", "hardsigmoid", "softplus", "mish", "add", "mul",
     "avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d",
     "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"}
)  # fmt: skip
"""Functions that compute each sample of a batch from that sample alone."""
_CHUNK = 64
"""So many samples at once: what layers make of more leaves the cache before the next reads it."""


@dataclass(frozen=True, eq=False)
class Features:
    """What programs read from the data instead of computing it.

    Attributes:
        width: how many tensors a batch has without the features.
        makers: for each feature the program, its module, and the value that is the feature.
        sources: (owner, program) → value → which feature it is. Members of equal programs may have
            frozen layers with other weights.
    """

    width: int
    makers: tuple[tuple[Program, torch.nn.Module, int], ...]
    sources: Mapping[tuple[int, Hashable], Mapping[int, int]]
    _read: dict[Hashable, tuple[Program, Program]] = field(default_factory=dict)

    def read_by(self, owner: int, program: Program) -> Program:
        """The program of a candidate that reads the features; itself if there are none for it."""
        found = self.sources.get((owner, frozen_calls(program)))
        if not found:
            return program
        key = (id(program), tuple(found.items()))
        if key not in self._read:  # Alike members read alike.
            given = {n: Source("input", self.width + feature) for n, feature in found.items()}
            self._read[key] = program, prune(program, given)
        return self._read[key][1]


def find_features(
    programs: Sequence[Program],
    owners: Sequence[int],
    modules: Sequence[torch.nn.Module],
    contents: Mapping[Slot, Hashable],
    width: int,
    room: int,
    samples: int,
) -> Features | None:
    """What can be computed beforehand; None if nothing that takes work can, or it does not fit.

    Args:
        programs: of all members, for one stream of data.
        owners: the number of each program's candidate.
        modules: that of each program.
        contents: (program, source) → what is equal for frozen sources with equal contents.
        width: how many tensors a batch has.
        room: bytes that the features may take.
        samples: how many samples the data has.
    """

    def content(program: int, number: int) -> Hashable | None:
        source = programs[program].sources[number]
        return ("input", source.path) if source.kind == "input" else contents.get((program, number))

    canonical = deduplicate(programs, content)
    numbers: dict[Slot, int] = {}
    sources: dict[tuple[int, Hashable], dict[int, int]] = {}
    size = 0
    for index, program in enumerate(programs):
        frozen = {n for n in program.sources if (index, n) in contents}
        found: dict[int, int] = {}
        for number in _frontier(program, frozen, width):
            slot = canonical[index, number]
            if slot not in numbers:
                numbers[slot] = len(numbers)
                facts = program.facts[number]
                size += samples * facts.dtype.itemsize * math.prod(facts.shape[1:])
            found[number] = numbers[slot]
        sources[owners[index], frozen_calls(program)] = found
    if not numbers or size > room:
        return None
    makers = tuple((programs[i], modules[i], number) for i, number in numbers)
    return Features(width, makers, sources)


def _frontier(program: Program, frozen: set[int], width: int) -> list[int]:
    """The values that frozen layers compute from the inputs, and that others read."""
    inputs = {
        n for n, s in program.sources.items() if s.kind == "input" and int(s.path) < width - 1
    }
    batch = {program.facts[n].shape[0] for n in inputs if program.facts[n].shape}
    made: dict[int, bool] = {}  # value → whether work went into it
    for call in program.calls:
        from_data = [n for n in call.inputs if n in inputs or n in made]
        rest = [n for n in call.inputs if n not in inputs and n not in made]
        ours = call.name in _SAMPLEWISE and not call.writes and not call.effects
        if not ours or not from_data or not set(rest) <= frozen or len(call.outputs) != 1:
            continue
        (output,) = call.outputs
        shape = program.facts[output].shape
        if not shape or {shape[0]} != batch or (call.name == "flatten" and _from_zero(call)):
            continue
        made[output] = call.name in _WORK or any(made.get(n, False) for n in from_data)
    read = {n for call in program.calls if not set(call.outputs) & made.keys() for n in call.inputs}
    return [n for n, worked in made.items() if worked and n in read | {program.output.id}]


def _from_zero(call: Call) -> bool:
    start = call.kwargs.get("start_dim", call.args[1] if len(call.args) > 1 else 0)
    return bool(start == 0)


def can_extend(recipe: SupervisedEvaluator) -> bool:
    """Whether all data of a recipe is tensors, read in the same order by all members."""
    parts = [recipe.train, *recipe.also_measure.values()]
    if not isinstance(recipe.validation, (float, int)):
        parts.append(recipe.validation)
    return recipe.data_seed is not None and all(is_tensors(part) for part in parts)


def extended(
    recipe: SupervisedEvaluator, features: Features, device: torch.device
) -> SupervisedEvaluator:
    """The recipe whose data has the features as further tensors."""

    def more(data: Any) -> Any:
        made = [_computed(maker, data, device) for maker in features.makers]
        return (*data, *made)

    validation = recipe.validation
    return replace(
        recipe,
        train=more(recipe.train),
        validation=validation if isinstance(validation, (float, int)) else more(validation),
        also_measure={name: more(data) for name, data in recipe.also_measure.items()},
    )


@torch.no_grad()
def _computed(
    maker: tuple[Program, torch.nn.Module, int], data: Sequence[Tensor], device: torch.device
) -> Tensor:
    """One feature of all samples."""
    program, module, number = maker
    calls = [c for c in prune(replace(program, output=Ref(number))).calls if _plain(c)]
    tensors = named_tensors(module)
    given = {n: tensors[str(s.path)] for n, s in program.sources.items() if s.path in tensors}
    inputs = {n: int(s.path) for n, s in program.sources.items() if s.kind == "input"}
    parts = []
    for start in range(0, len(data[0]), _CHUNK):
        chunk = {n: data[i][start : start + _CHUNK].to(device) for n, i in inputs.items()}
        parts.append(_value(calls, {**given, **chunk})[number])
    return torch.cat(parts)


def _plain(call: Call) -> bool:
    return not call.effects and not call.writes


def _value(calls: Sequence[Call], values: dict[int, Any]) -> dict[int, Any]:
    """The values, with those that calls compute from them."""
    for call in calls:
        if not set(call.inputs) <= values.keys():
            continue
        args, kwargs = replaced(
            (call.args, dict(call.kwargs)),
            lambda leaf: values[leaf.id] if isinstance(leaf, Ref) else leaf,
        )
        assert call.function is not None
        values[call.outputs[0]] = call.function(*args, **kwargs)
    return values
