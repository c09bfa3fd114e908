"""Model spaces for PyTorch, and the interface of the engines that make models of their points.

Importing this package does not import torch: what needs it is loaded at its first use.

>>> import nas_core as nas
>>> import nas_core.nn as nn
>>> @nas.model_wrapper
... class Net(nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label="width"))
>>> nas.Space.of(Net()).size()
2
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_core.architecture import Architecture as Architecture
    from nas_core.candidate import run_candidate as run_candidate
    from nas_core.define_by_run import choose as choose
    from nas_core.errors import NasError as NasError
    from nas_core.expression import resolve as resolve
    from nas_core.hookspecs import hookimpl as hookimpl
    from nas_core.labels import labelled as labelled
    from nas_core.model import basic_unit as basic_unit
    from nas_core.model import build as build
    from nas_core.model import model_wrapper as model_wrapper
    from nas_core.model import recipe as recipe
    from nas_core.plugins import engine as engine
    from nas_core.plugins import engines as engines
    from nas_core.protocols import Candidate as Candidate
    from nas_core.protocols import Engine as Engine
    from nas_core.protocols import EngineInfo as EngineInfo
    from nas_core.protocols import Evaluator as Evaluator
    from nas_core.protocols import Job as Job
    from nas_core.protocols import Problem as Problem
    from nas_core.protocols import Recorder as Recorder
    from nas_core.protocols import Result as Result
    from nas_core.pruned import Pruned as Pruned
    from nas_core.space import Space as Space

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "architecture",
    "Candidate": "protocols",
    "Engine": "protocols",
    "EngineInfo": "protocols",
    "Evaluator": "protocols",
    "Job": "protocols",
    "NasError": "errors",
    "Problem": "protocols",
    "Pruned": "pruned",
    "Recorder": "protocols",
    "Result": "protocols",
    "Space": "space",
    "basic_unit": "model",
    "build": "model",
    "choose": "define_by_run",
    "engine": "plugins",
    "engines": "plugins",
    "hookimpl": "hookspecs",
    "labelled": "labels",
    "model_wrapper": "model",
    "recipe": "model",
    "resolve": "expression",
    "run_candidate": "candidate",
}

__all__ = [*sorted(_HOMES), "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas_core' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"nas_core.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
