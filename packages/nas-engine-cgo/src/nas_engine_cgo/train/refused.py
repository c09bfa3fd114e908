"""What members can't go on with in one loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from nas_engine_cgo.members import Program
from nas_engine_cgo.state import Place, Store

__all__ = ["RefusedError", "check_called"]


class RefusedError(Exception):
    """These members can't go on in this loop; alone, each finds its own end."""

    def __init__(self, members: Sequence[int], reason: str) -> None:
        super().__init__(reason)
        self.members = tuple(members)

    @staticmethod
    def raise_first(errors: Sequence[RefusedError]) -> None:
        """Raise the first of several, if there are any, for all that have its reason.

        >>> RefusedError.raise_first([RefusedError([1], "no"), RefusedError([3], "no")])
        Traceback (most recent call last):
        nas_engine_cgo.train.refused.RefusedError: no
        """
        if errors:
            alike = [error.members for error in errors if str(error) == str(errors[0])]
            raise RefusedError([*chain(*alike)], str(errors[0])) from errors[0].__cause__


def check_called(
    store: Store, called: Sequence[Place], programs: Mapping[int, Program], training: bool
) -> None:
    """Refuse code that trains only some of what other code trains in one tensor.

    What is called whole draws in the order in memory that it has alone.

    Args:
        store: their parameters and buffers.
        called: members and submodules that run by themselves.
        programs: of the other members.
        training: whether anything is trained.

    Raises:
        RefusedError: of the members that would be trained by halves.
    """
    if not training:
        return
    for member, path in called:
        store.restore_layout(member, path)
    felt = {
        (member, source.path)
        for member, program in programs.items()
        for number, source in program.sources.items()
        if source.kind == "parameter" and number in (program.felt or ())
    }
    for parts, trained in store.packed():
        missed = [place for place in parts if _within(place, called)]
        if trained and not missed and not felt.isdisjoint(parts):
            missed = [place for place in parts if place not in felt]
        if missed:
            reason = "another size of the batch trains other parameters"
            raise RefusedError(sorted({member for member, _ in missed}), reason)


def _within(place: Place, modules: Sequence[Place]) -> bool:
    """Whether a parameter belongs to one of these submodules."""
    member, path = place
    return any(
        member == other and (not root or path.startswith(f"{root}.")) for other, root in modules
    )
