"""Shapes that functions give are remembered by all that decides them, by nothing that is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from nas_engine_cgo.members import Remembered
from torch import Tensor


@pytest.fixture
def seen() -> Remembered:
    return Remembered()


def test_slices_are_told_apart(seen: Remembered) -> None:
    x = torch.empty(4, 6, device="meta")
    for end in range(1, 7):  # Where one slice lay in memory, the next may lie.
        found = seen.call("__getitem__", Tensor.__getitem__, (x, ([0, 1], slice(end))), {})
        assert found.shape == (2, end)


def test_types_follow_those_that_are_set(seen: Remembered) -> None:
    numbers, x = torch.empty(3, dtype=torch.long, device="meta"), torch.empty(3, 3, device="meta")

    def call(name: str, function: Callable[..., Any], *given: Tensor) -> torch.dtype:
        found: Tensor = seen.call(name, function, given, {})
        return found.dtype

    outer = torch.get_default_dtype()
    assert call("sqrt", torch.sqrt, numbers) == torch.float32
    torch.set_default_dtype(torch.float64)
    assert call("sqrt", torch.sqrt, numbers) == torch.float64
    torch.set_default_dtype(outer)
    assert call("mm", torch.mm, x, x) == torch.float32


def test_no_more_is_remembered_than_there_is_room_for(
    seen: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_engine_cgo.members.remembered._MOST", 3)
    for size in (*range(1, 9), *range(8, 0, -1)):
        x = torch.empty(size, device="meta")
        assert seen.call("exp", torch.exp, (x,), {}).shape == (size,)
        assert len(seen._known) <= 3
