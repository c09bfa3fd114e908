"""What calls of members change besides tensors, where somebody else would read it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, ValuesView
from contextlib import contextmanager

from torch import nn

from nas_engine_cgo.members.held import changed_attributes, held_by
from nas_engine_cgo.members.keeping import keeping
from nas_engine_cgo.members.kept import Attribute
from nas_engine_cgo.members.shared import Shared
from nas_engine_cgo.train.members import Member
from nas_engine_cgo.train.refused import RefusedError

__all__ = ["FirstCalls", "check_unread", "functions_in", "kept_apart", "unshared"]

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


class FirstCalls:
    """Looks at what the first calls of modules as they are change, in training and in evaluation.

    Args:
        members: whose modules.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._called: set[tuple[int, bool]] = set()

    @contextmanager
    def over(
        self, member: int, training: bool, merged: bool, kept: frozenset[Attribute]
    ) -> Iterator[None]:
        """Watch a call, if it is the first one.

        Args:
            member: whose.
            training: in which mode.
            merged: whether it is trained by merged code.
            kept: what that knows to change.

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
        check_unread(self._members, member, changed - kept)
