"""What calls of members change besides tensors, where somebody else would read it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, ValuesView
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from nas_engine_cgo.members import GlobalStates
from nas_engine_cgo.members.held import changed_attributes, held_by
from nas_engine_cgo.members.keeping import keeping
from nas_engine_cgo.members.kept import Attribute
from nas_engine_cgo.members.shared import Shared
from nas_engine_cgo.state import Entry
from nas_engine_cgo.train.members import Member, Tutor, is_hooked
from nas_engine_cgo.train.refused import RefusedError

__all__ = [
    "FirstCalls",
    "check_steps",
    "check_unread",
    "functions_in",
    "kept_apart",
    "schedules_watched",
    "unshared",
]

_OF_EVERY_MODULE = vars(nn.Module()).keys()


def shared_by(member: Member) -> Shared:
    """What a member shares with others when it is called."""
    return Shared(member.module.modules(), functions_in([member.recipe.loss]))


def functions_in(parts: object) -> list[Callable[..., object]]:
    """The functions and objects of the user's in parts of a recipe, of which no copies are made."""
    if isinstance(parts, Mapping):
        parts = parts.values()
    elif not isinstance(parts, (list, tuple, ValuesView)):
        return [parts] if callable(parts) and not isinstance(parts, type) else []
    return [function for part in parts for function in functions_in(part)]


@contextmanager
def kept_apart(members: Sequence[Member], member: int) -> Iterator[None]:
    """Let a call of a member change nothing that others read.

    Raises:
        RefusedError: it does; it was put back, so that each can find it in its turn.
    """
    with unshared(shared_by(members[member]), len(members)):
        yield


@contextmanager
def unshared(shared: Shared, count: int) -> Iterator[None]:
    """Let nothing change that so many members share.

    Raises:
        RefusedError: something does; it was put back, so that each can find it in its turn.
    """
    try:
        yield
    finally:
        if (name := shared.changed()) is not None:
            shared.put_back()
            raise RefusedError(range(count), f"they share {name}, which changes")


@contextmanager
def schedules_watched(members: Sequence[Member], first: bool) -> Iterator[None]:
    """See that schedules of the user's look at nothing but numbers, which are told to them here.

    Args:
        members: whose.
        first: whether they are told so for the first time.

    Raises:
        RefusedError: one draws random numbers, uses tensors, or changes what members share.
    """
    told = [(member.recipe.schedule, member.recipe.schedule_options) for member in members]
    functions = {id(f): f for f in functions_in(told)}.values()
    kinds = {schedule for schedule, _ in told if isinstance(schedule, type)}
    if not functions and all(kind.__module__ == "torch.optim.lr_scheduler" for kind in kinds):
        yield
        return
    states, uses = GlobalStates.now(), _Uses()
    with unshared(Shared([], functions), len(members)) if first else nullcontext(), uses:
        yield
    if not states.are_now():
        states.restore()
        raise RefusedError(range(len(members)), "a schedule draws random numbers")
    if uses.any:
        raise RefusedError(range(len(members)), "a schedule uses tensors")


class _Uses(TorchFunctionMode):
    """Notes whether any function of torch is called."""

    any = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self.any = True
        return func(*args, **(kwargs or {}))


def check_unread(members: Sequence[Member], member: int, changed: Collection[Attribute]) -> None:
    """See that evaluation changes nothing that merged training may have read once and for all.

    Caches are forgotten by ``train``.

    Raises:
        RefusedError: of all that have such a module.
    """
    if not changed:
        return
    module = members[member].module
    caches = keeping(module)
    for path, name in changed:
        if path not in caches:
            kind = type(module.get_submodule(path))
            theirs = [
                number
                for number, other in enumerate(members)
                if any(type(child) is kind for child in other.module.modules())
            ]
            reason = f"evaluation changes {name} of {kind.__name__}, which training may read"
            raise RefusedError(theirs, reason)


def check_steps(tutors: Iterable[Tutor], entries: Iterable[Entry]) -> None:
    """See that the steps of optimisers are those of their classes, on dense gradients.

    Raises:
        RefusedError: of the members for whom they are not.
    """
    for tutor in tutors:
        if is_hooked(tutor.optimizer):
            raise RefusedError(tutor.members, "the schedule has hooked the optimiser")
    sparse = {
        member
        for entry in entries
        if (gradient := entry.tensor.grad) is not None and gradient.layout != torch.strided
        for member, _ in entry.slots
    }
    if sparse:
        raise RefusedError(sorted(sparse), "they have sparse gradients")


class FirstCalls:
    """Looks at what the first calls of modules as they are change, in training and in evaluation.

    Args:
        members: whose modules.
        kept: what merged training of a member is known to change.
    """

    def __init__(
        self, members: Sequence[Member], kept: Callable[[int], frozenset[Attribute]]
    ) -> None:
        self._members, self._kept = members, kept
        self._called: set[tuple[int, bool]] = set()

    @contextmanager
    def over(self, member: int, training: bool, merged: bool) -> Iterator[None]:
        """Watch a call, if it is the first one.

        Args:
            member: whose.
            training: in which mode.
            merged: whether it is trained by merged code.

        Raises:
            RefusedError: it has changed what others, or merged training, may read.
        """
        if (member, training) in self._called:
            yield
            return
        self._called.add((member, training))
        looks = dict(self._members[member].module.named_modules()) if merged else {}
        before = {path: held_by(module) for path, module in looks.items()}
        with kept_apart(self._members, member):
            yield
        changed = {
            (path, name.partition(".")[0])
            for path, module in looks.items()
            for name in changed_attributes(module, before[path])
        }
        changed = {each for each in changed if each[1] not in _OF_EVERY_MODULE}
        check_unread(self._members, member, changed - self._kept(member))
