"""The last word: one step of merged code beside the same step of each member alone.

Steps that are equal by themselves may meet in an order or a layout in which they are not. Kernels
go by shapes, so what is equal on a batch is equal on all of its size, unless it is by chance: few
numbers are rounded alike in most orders, and zeros, as biases are in the beginning, in all. So
weights are moved, and members with small tensors are tried on more batches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.exact.equality import ENOUGH
from nas_engine_cgo.members import duplicate
from nas_engine_cgo.members.calls import named_tensors
from nas_engine_cgo.state import Entry, Stream, drawing, joined
from nas_engine_cgo.write import Function

__all__ = ["Subject", "differing"]

Found = dict[str, Tensor | None]

_MOST_DRAWS = 8
_SOME = 8
"""Members of a job that are tried with code that was equal for all of another one."""


@dataclass(frozen=True)
class Subject:
    """A member as it is now: nothing of it is changed here."""

    module: nn.Module
    forward: Callable[..., Tensor]
    stream: Stream
    batch: Sequence[Tensor]


def differing(
    subjects: Sequence[Subject],
    function: Function,
    bound: Callable[[Sequence[nn.Module]], Callable[..., Any]],
    training: bool,
    once: bool,
) -> list[int]:
    """The members whose results, gradients or buffers differ in some bit.

    Args:
        subjects: the members.
        function: their merged code.
        bound: makes a function of it that calls submodules of these modules.
        training: whether they are trained.
        once: whether some members and one batch are enough, since others were tried before.
    """
    found: set[int] = set()
    some = range(0, len(subjects), -(-len(subjects) // _SOME) if once else 1)
    for draw in range(1 if once else _draws(subjects)):
        drawn = [replace(each, batch=_drawn(each.batch, draw)) for each in subjects]
        # A model need not take what it is not trained on.
        with contextlib.suppress(*([Exception] if draw else [])):
            found |= _differing(drawn, function, bound, training, some)
        if found and once:
            return differing(subjects, function, bound, training, once=False)
        if found:
            break
    return sorted(found)


def _draws(subjects: Sequence[Subject]) -> int:
    """How many batches it takes till each parameter has shown enough."""
    parameters = (p for subject in subjects for p in subject.module.parameters())
    least = min((p.numel() for p in parameters if p.requires_grad and p.numel()), default=ENOUGH)
    return min(_MOST_DRAWS, -(-ENOUGH // (least * len(subjects))))


def _drawn(batch: Sequence[Tensor], draw: int) -> list[Tensor]:
    """Another batch like this one: numbers up to half as small, and all else in another order.

    None is the batch itself, which what is tried may write into.
    """
    if not draw:
        return [x.clone() for x in batch]
    generator = Generator().manual_seed(draw)

    def like(x: Tensor) -> Tensor:
        if not x.is_floating_point():
            return x.roll(draw, 0) if x.dim() else x.clone()
        return x * (1 - torch.rand(x.shape, generator=generator, dtype=x.dtype) / 2)

    return [like(x) for x in batch]


def _differing(
    subjects: Sequence[Subject],
    function: Function,
    bound: Callable[[Sequence[nn.Module]], Callable[..., Any]],
    training: bool,
    some: Sequence[int],
) -> set[int]:
    """Those of some members that differ when all have taken a step."""
    copies = {number: _moved(subjects[number].module) for number in some}
    modules = [copies.get(number, each.module) for number, each in enumerate(subjects)]
    called = {member for member, _ in function.modules}
    stand_ins = [duplicate(m).train(training) if i in called else m for i, m in enumerate(modules)]
    entries, results = _together(subjects, function, bound(stand_ins), stand_ins)
    # Before the copies take their steps alone.
    together = {number: _kept(stand_ins[number], number in called) for number in some}
    for number, path, value in (*_parts(entries), *results):
        if number in together:
            together[number][path] = value
    return {
        number
        for number, copied in copies.items()
        if not _equal(together[number], _alone(subjects[number], copied, training))
    }


def _together(
    subjects: Sequence[Subject],
    function: Function,
    merged: Callable[..., Any],
    modules: Sequence[nn.Module],
) -> tuple[list[Entry], list[tuple[int, str, Tensor]]]:
    """Let all take a step in copies of what these modules have; that, and the results."""
    own = [named_tensors(module) for module in modules]
    entries: list[Entry] = []
    for need in function.needs:
        parts = [own[member][path] for member, path in need.slots]
        made = joined([part.detach() for part in parts], need.form, need.padded)
        made = made if need.moved else made.clone()
        made.requires_grad_(parts[0].requires_grad)
        entries.append(Entry(made, need.form, need.slots, padded=need.padded))
    batches = {stream: subjects[m].batch for m, stream in enumerate(function.streams)}
    inputs = [batches[stream][position] for stream, position in function.inputs]
    streams = [subject.stream.copied() for subject in subjects]
    outcomes = merged(inputs, [entry.tensor for entry in entries], streams)
    felt = [outcome for outcome in outcomes if outcome.requires_grad]
    if felt:
        torch.autograd.backward(felt, [torch.ones_like(outcome) for outcome in felt])
    results: list[tuple[int, str, Tensor]] = []
    for outcome, members in zip(outcomes, function.results, strict=True):
        each = outcome.detach().unbind(0) if len(members) > 1 else (outcome.detach(),)
        results += ((m, "result", part) for m, part in zip(members, each, strict=True))
    return entries, results


def _kept(module: nn.Module, called: bool) -> Found:
    """What a module has if nothing of it is in tensors of several members."""
    found: Found = {path: buffer.clone() for path, buffer in module.named_buffers()}
    return found | _gradients(module) if called else found


def _gradients(module: nn.Module) -> Found:
    return {path: p.grad for path, p in module.named_parameters() if p.requires_grad}


def _parts(entries: Sequence[Entry]) -> Iterator[tuple[int, str, Tensor | None]]:
    """Gradients, and buffers as they are now, of each member."""
    for entry in entries:
        value = entry.tensor.grad if entry.tensor.requires_grad else entry.tensor
        for position, (member, path) in enumerate(entry.slots):
            yield member, path, None if value is None else entry.part(value, position)


def _moved(module: nn.Module) -> nn.Module:
    """A copy with other weights, the same each time."""
    made = duplicate(module)
    stream = Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            moves = torch.randn(parameter.shape, generator=stream).to(parameter)
            parameter.add_(moves, alpha=0.01)
    return made


def _alone(subject: Subject, module: nn.Module, training: bool) -> Found:
    """What comes of a step of a module, which is used up."""
    module.train(training)
    with drawing(subject.stream.copied(), everything=True):
        if not training:
            return {"result": module(*subject.batch[:-1]), **dict(module.named_buffers())}
        loss = subject.forward(module, *subject.batch)
    loss.backward()  # type: ignore[no-untyped-call]
    return {"result": loss.detach(), **_gradients(module), **dict(module.named_buffers())}


def _equal(a: Found, b: Found) -> bool:
    return all(same_bits(a.get(name), b.get(name)) for name in a.keys() | b.keys())
