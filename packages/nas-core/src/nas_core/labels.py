"""Labels of modules, by which rewrites of a model's graph find what they change."""

from __future__ import annotations

from typing import TypeVar

import torch

from nas_core.errors import NasError

__all__ = ["label_of", "labelled"]

M = TypeVar("M", bound=torch.nn.Module)

_LABEL = "_nas_label"


def labelled(module: M, label: str) -> M:
    """The module itself, marked so that mutators of its graph find it by this label.

    What a choice has chosen carries the label of the choice without this.

    >>> label_of(labelled(torch.nn.ReLU(), "act"))
    'act'

    Raises:
        ValueError: the label is no string, or an empty one.
    """
    if not isinstance(label, str) or not label:
        raise _LabelError(f"a label is a non-empty string, not {label!r}")
    # Not setattr: a layer that is initialised later must not notice.
    object.__getattribute__(module, "__dict__")[_LABEL] = label
    return module


def label_of(module: torch.nn.Module) -> str | None:
    """The label of a module, if it has one."""
    found: str | None = vars(module).get(_LABEL)
    return found


class _LabelError(NasError, ValueError):
    """A label is none."""
