"""The states of the global random generators, to be set back if a build has to begin again.

Python's and NumPy's generators tell their states number by number, 624 each, which takes as long as
a layer does, for each build, of which hardly one begins again. So the memory that holds the numbers
is copied, and copied back only then. Where it lies is found out once, from a generator of the same
class that tells its state as well. Where that fails, or another kind is in place, the state is
told.
"""

from __future__ import annotations

import ctypes
import functools
import random
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Noted", "numpy_state", "python_state", "random_states"]

_PYTHONS = struct.Struct("i624I")
"""The position and the numbers."""
_NUMPYS = struct.Struct("624Ii")
"""The numbers and the position."""
_PAIR = struct.Struct("@id")
"""Whether the second number of a pair of normal ones has yet to be drawn, and that."""


@dataclass(frozen=True, eq=False)
class Noted:
    """A state of a generator.

    Attributes:
        tell: tells it as the generator does.
        restore: puts the generator back into it.
        memory: what is equal for states that were noted in one way and are equal.
    """

    tell: Callable[[], Any]
    restore: Callable[[], None]
    memory: object = None


def random_states() -> Callable[[], None]:
    """Set the global generators back to where they are now.

    >>> rewind = random_states()
    >>> drawn = random.random()
    >>> rewind()
    >>> random.random() == drawn
    True
    """
    torchs, pythons, numpys = torch.get_rng_state(), python_state(), numpy_state()

    def rewind() -> None:
        torch.set_rng_state(torchs)
        pythons.restore()
        if numpys is not None:
            numpys.restore()

    return rewind


def python_state() -> Noted:
    """Note the state of Python's global generator."""
    generator, at = _pythons(), _place_in_pythons()
    if at is None or type(generator) is not random.Random:
        state = random.getstate()
        return Noted(lambda: state, lambda: random.setstate(state))
    memory = ctypes.string_at(id(generator) + at, _PYTHONS.size)
    held = vars(generator)
    gauss = held["gauss_next"]

    def tell() -> Any:
        position, *numbers = _PYTHONS.unpack(memory)
        return random.Random.VERSION, (*numbers, position), gauss

    def restore() -> None:
        if _pythons() is generator:
            ctypes.memmove(id(generator) + at, memory, _PYTHONS.size)
            held["gauss_next"] = gauss
        else:
            random.setstate(tell())

    return Noted(tell, restore, (memory, gauss))


def _pythons() -> Any:
    return getattr(random.getstate, "__self__", None)


def numpy_state() -> Noted | None:
    """Note the state of NumPy's global generator; None if that is not loaded."""
    numpy: Any = sys.modules.get("numpy.random")  # Whoever loads it later seeds it later.
    if numpy is None:
        return None
    generator, at = getattr(numpy.get_state, "__self__", None), _place_in_numpys(numpy)
    bits: Any = None if at is None else numpy.get_bit_generator()
    if at is None or type(generator) is not numpy.RandomState or type(bits) is not numpy.MT19937:
        state = numpy.get_state(legacy=False)
        return Noted(lambda: state, lambda: numpy.set_state(state))
    places = (bits.ctypes.state_address, _NUMPYS.size), (id(generator) + at, _PAIR.size)
    memory = tuple(ctypes.string_at(*place) for place in places)

    def tell() -> Any:
        *numbers, position = _NUMPYS.unpack(memory[0])
        return "MT19937", numbers, position, *_PAIR.unpack(memory[1])

    def restore() -> None:
        if numpy.get_bit_generator() is bits:
            for (address, size), content in zip(places, memory, strict=True):
                ctypes.memmove(address, content, size)
        else:
            numpy.set_state(tell())

    return Noted(tell, restore, memory)


@functools.cache
def _place_in_pythons() -> int | None:
    """Where an object of ``random.Random`` has its position and numbers."""
    probe = random.Random(0)
    version, (*numbers, position), _ = probe.getstate()
    at = _memory(probe).find(_PYTHONS.pack(position, *numbers))
    return None if at < 0 or version != random.Random.VERSION else at


@functools.cache
def _place_in_numpys(numpy: Any) -> int | None:
    """Where an object of ``RandomState`` has its pair; of the numbers, numpy gives the address."""
    if not hasattr(numpy, "get_bit_generator"):
        return None
    bits = numpy.MT19937(0)
    probe = numpy.RandomState(bits)
    probe.standard_normal()
    _, numbers, position, _, gauss = probe.get_state()
    memory, double = _memory(probe), struct.pack("d", gauss)
    at = memory.find(double) + len(double) - _PAIR.size
    address, told = bits.ctypes.state_address, _NUMPYS.pack(*numbers, position)
    if at < 0 or memory.count(double) > 1 or ctypes.string_at(address, _NUMPYS.size) != told:
        return None
    first = _PAIR.unpack_from(memory, at)
    probe.standard_normal()
    then = _PAIR.unpack_from(_memory(probe), at)
    return at if (first, then[0]) == ((1, gauss), 0) else None


def _memory(probe: object) -> bytes:
    return ctypes.string_at(id(probe), type(probe).__basicsize__)
