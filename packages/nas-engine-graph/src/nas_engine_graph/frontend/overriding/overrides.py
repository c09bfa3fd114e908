"""Overrides of what PyTorch calls beside ``forward``: their sources, read for what they set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nas_core.errors import Place
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.overriding.followed import CLEARED, Reading
from nas_engine_graph.frontend.overriding.overriding import LOADING
from nas_engine_graph.ir import RESETTING, Reset

__all__ = ["CLEARED", "LOADING", "Override", "overrides", "resets_of"]


@dataclass(frozen=True, slots=True)
class Override:
    """What a class does when PyTorch calls it otherwise than to compute.

    Attributes:
        method: what is called.
        resets: the attributes that it sets to constants.
        more: the attributes that everything else in it mentions; None if there is nothing else.
        place: where it is written.
        versioned: whether it may do other things with weights of another version.
    """

    method: str
    resets: tuple[Reset, ...]
    more: frozenset[str] | None
    place: Place
    versioned: bool = False


def overrides(cls: type[nn.Module], path: str) -> tuple[Override, ...]:
    """What a class overrides of the methods that can be read.

    Raises:
        UnsupportedModuleError: one of them does what can't be read from its source.
    """
    plain: Any = cls
    try:
        found: tuple[Override, ...] = _overrides(plain)
    except UnsupportedModuleError as error:
        raise UnsupportedModuleError(error.construct, path, error.place) from error
    return found


def resets_of(classes: set[type]) -> frozenset[str]:
    """The attributes that any of the classes sets when PyTorch calls it.

    Raises:
        UnsupportedModuleError: a class does what can't be read from its source.
    """
    return frozenset(
        reset.attribute for cls in classes for o in _overrides(cls) for reset in o.resets
    )


@lru_cache(maxsize=4096)
def _overrides(cls: Any) -> tuple[Override, ...]:
    if is_of_torch(cls):
        return ()
    return tuple(o for method in RESETTING if (o := _override(cls, method)) is not None)


def _override(cls: type, method: str) -> Override | None:
    bases = [base for base in cls.__mro__ if method in vars(base)]
    own = [base for base in bases if not is_of_torch(vars(base)[method])]
    if not own:
        return None
    reading = Reading(cls, method, [vars(base)[method] for base in own])
    if bases[: len(own)] != own or bases[len(own)] is not nn.Module:
        raise reading.refusal("overrides what a layer of torch overrides, too", None)
    resets, more = reading.resets(), reading.more
    names = None if more is None else frozenset(more)
    return Override(method, resets, names, reading.written[0].place(None), reading.versioned)
