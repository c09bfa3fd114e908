"""What a member does: its program, of which alike members have one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_cgo.members import Program, Ref, Remembered, UntraceableError, prune, trace
from nas_engine_cgo.members.held import changed_attribute, held_by, holders_of
from nas_engine_cgo.members.kept import Attribute
from nas_engine_cgo.train.members import Graded, Member, comparable

__all__ = ["kind_of", "program_of"]


def kind_of(member: Member, training: bool) -> Hashable:
    """What is equal for members that have one program for inputs of equal shapes.

    Args:
        member: one of those.
        training: whether the loss is part of the program.
    """
    recipe = member.recipe
    loss = (comparable(recipe.loss), comparable(recipe.loss_options)) if training else None
    return member.looks, type(member), loss


def program_of(
    member: Member,
    batch: Sequence[Tensor],
    training: bool,
    seen: Remembered,
    kept: frozenset[Attribute] = frozenset(),
) -> Program:
    """The program of a member: its loss in training, and its output otherwise.

    Args:
        member: its module is in training mode or not, as is asked.
        batch: ends with the target.
        training: which of the two.
        seen: results of earlier traces of similar modules.
        kept: what training changes of its modules besides tensors.

    Raises:
        UntraceableError: it has none that can be merged, and why.
    """
    if training:
        program = _graded(member, batch, seen)
    else:
        with torch.no_grad():
            program = trace(member.module, _outputs, batch[:-1], seen, kept=kept)
    if not isinstance(program.output, Ref):
        raise UntraceableError("forward gives back something else than one tensor")
    if training and program.felt is not None and program.output.id not in program.felt:
        raise UntraceableError("the loss depends on no parameter")
    if training and program.facts[program.output.id].shape != ():
        raise UntraceableError("the loss is more than one number")
    return prune(program)


def _graded(member: Member, batch: Sequence[Tensor], seen: Remembered) -> Program:
    """The program of a loss, which does not count, or change in some other way, as it is called."""
    loss = member.loss()
    holders = tuple(holders_of(loss.function)) if isinstance(loss, Graded) else ()
    before = [held_by(holder) for holder in holders]
    program = trace(member.module, loss, batch, seen)
    for holder, held in zip(holders, before, strict=True):
        if (name := changed_attribute(holder, held)) is not None:
            raise UntraceableError(f"the loss changes its attribute {name}")
    return program


def _outputs(module: nn.Module, *inputs: Tensor) -> Any:
    return module(*inputs)
