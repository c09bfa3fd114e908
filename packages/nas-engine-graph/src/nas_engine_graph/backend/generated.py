"""Generated source as a value: it can be sent to another process, and run there."""

from __future__ import annotations

import itertools
import linecache
from dataclasses import dataclass
from types import ModuleType

import torch

from nas_engine_graph.backend.source import formatted, write
from nas_engine_graph.ir import Graph

__all__ = ["Source", "source_of"]

_COUNTER = itertools.count()


@dataclass(frozen=True)
class Source:
    """The text of a Python module, and the class in it that is the model."""

    text: str
    name: str

    def instantiate(self) -> torch.nn.Module:
        """The model, as its generated constructor initialises it.

        >>> source_of_relu = Source("from torch import nn\\nclass Net(nn.ReLU): ...", "Net")
        >>> source_of_relu.instantiate()
        Net()
        """
        file = f"<generated {self.name} {next(_COUNTER)}>"
        module = ModuleType(self.name)
        module.__file__ = file
        # So that tracebacks and inspect show the lines.
        linecache.cache[file] = (len(self.text), None, self.text.splitlines(True), file)
        exec(compile(self.text, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  our own text
        made: torch.nn.Module = getattr(module, self.name)()
        return made

    def formatted(self) -> str:
        """The text as people like to read it."""
        return formatted(self.text)


def source_of(graph: Graph) -> Source:
    """The source of a graph, not formatted yet: most of it is only run."""
    return Source(*write(graph))
