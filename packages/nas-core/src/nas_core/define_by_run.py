"""``choose``: a decision made while the model is being built, for any Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, overload

from nas_core.choice import Choice, OneOf, caller
from nas_core.construction import Fixed, Open, current
from nas_core.errors import LabelConflictError, OpenChoiceError
from nas_core.expression import Expression

__all__ = ["choose"]

T = TypeVar("T")


@overload
def choose(candidates: Mapping[str, T], label: str) -> T: ...
@overload
def choose(candidates: Sequence[T], label: str) -> T: ...
def choose(candidates: Mapping[str, Any] | Sequence[Any], label: str) -> Any:
    """Decide now, inside the ``__init__`` of a ``model_wrapper`` class, and return the value.

    Unlike ``ValueChoice`` the result is a concrete value: loops, ``if`` and ``range`` may depend
    on it, and whether a later ``choose`` happens at all. Only decisions that were really asked for
    are part of an architecture. Called twice with one label it returns the same value.

    Args:
        candidates: JSON values, or a dict from a name to any object (the architecture then holds
            the name).
        label: the name of the choice. It can't be generated: no module tree exists yet.

    >>> import nas_core as nas
    >>> from torch import nn
    >>> @nas.model_wrapper
    ... class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         depth = nas.choose([1, 2], label="depth")
    ...         widths = [nas.choose([8, 16], label=f"width{i}") for i in range(depth)]
    ...         self.layers = nn.ModuleList(nn.Linear(4, width) for width in widths)
    >>> nas.Space.of(Net()).size()
    6

    Raises:
        OpenChoiceError: no model is being built.
        LabelConflictError: the label was used with other candidates.
        ValueError: no candidates, one given twice, or one without a JSON form.
    """
    objects = dict(candidates) if isinstance(candidates, Mapping) else None
    if any(isinstance(candidate, Expression) for candidate in candidates):
        raise OpenChoiceError(
            f"choose({label!r}) at {caller()} has a ValueChoice among its candidates: "
            "it decides at once and can't wait for another choice; use choose for both"
        )
    choice = Choice("choose", OneOf(list(candidates)), label, caller(), key=None)
    session = current()
    if isinstance(session, Open):
        value = session.choose(choice)
        if (first := session.chosen[label][0]).domain != choice.domain:
            raise LabelConflictError(label, repr(first), repr(choice))
    elif isinstance(session, Fixed):
        value = session.value(choice)
        for key, candidate in (objects or {}).items():
            if key != value:
                session.drop(candidate)
    else:
        raise OpenChoiceError(
            f"choose({label!r}) at {caller()} runs while no model is being built: call it in the "
            "__init__ of a class decorated with @nas_core.model_wrapper"
        )
    return value if objects is None else objects[value]
