"""``torch.nn`` with choices: every layer accepts them as arguments, and the choices themselves.

>>> import nas_core as nas
>>> import nas_core.nn as nn
>>> isinstance(nn.Linear(4, 2), nn.Linear), type(nn.Linear(4, 2)).__module__
(True, 'torch.nn.modules.linear')
>>> nas.Space.of(nn.Linear(4, nn.ValueChoice([2, 3], label="width"))).size()
2
"""

from __future__ import annotations

from typing import Any

import torch

from nas_core.errors import nearest
from nas_core.nn.activation import AutoActivation
from nas_core.nn.cells import Cell
from nas_core.nn.choices import InputChoice, LayerChoice, Repeat
from nas_core.nn.chosen import ChosenInputs, ChosenList
from nas_core.nn.layers import layer_class
from nas_core.nn.nasbench import NasBench101Cell, NasBench201Cell
from nas_core.value import ValueChoice

Module = torch.nn.Module

__all__ = [  # noqa: PLE0604
    "AutoActivation",
    "Cell",
    "ChosenInputs",
    "ChosenList",
    "InputChoice",
    "LayerChoice",
    "Module",
    "NasBench101Cell",
    "NasBench201Cell",
    "Repeat",
    "ValueChoice",
    *(name for name in dir(torch.nn) if not name.startswith("_")),
]


def __getattr__(name: str) -> Any:
    if not hasattr(torch.nn, name):
        raise AttributeError(
            f"neither torch.nn nor nas_core.nn has {name!r}{nearest(name, __all__)}"
        )
    found = getattr(torch.nn, name)
    if isinstance(found, type) and issubclass(found, torch.nn.Module):
        found = layer_class(found)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
