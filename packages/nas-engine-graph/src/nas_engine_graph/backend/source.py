"""Source text: what is imported, the definitions, and the formatting."""

from __future__ import annotations

import itertools
import linecache
import weakref
from dataclasses import dataclass
from types import ModuleType

import black
import torch

from nas_engine_graph.backend.classes import Classes
from nas_engine_graph.ir import Graph

__all__ = ["Source", "instantiate", "load", "source_of", "to_source"]

_MODE = black.Mode(line_length=100)
_COUNTER = itertools.count()
_UNPACK = '''

def _unpack(text: str, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A tensor from its packed elements."""
    content = bytearray(zlib.decompress(base64.b85decode(text)))
    return torch.frombuffer(content, dtype=torch.uint8).view(dtype).reshape(shape)
'''


@dataclass(frozen=True)
class Source:
    """Generated source as a value, not formatted: it can be sent to another process, and run there.

    Attributes:
        text: the text of a Python module.
        name: the class in it that is the model.

    >>> Source("from torch import nn\\nclass Net(nn.ReLU): ...", "Net").instantiate()
    Net()
    """

    text: str
    name: str

    def formatted(self) -> str:
        """The text as people like to read it."""
        return black.format_str(self.text, mode=_MODE)

    def load(self) -> ModuleType:
        """The source, executed as a module that tracebacks and ``inspect`` can read."""
        number = next(_COUNTER)
        module = ModuleType(f"nas_graph_{number}")
        file = f"<graph {self.name} {number}>"
        linecache.cache[file] = (len(self.text), None, self.text.splitlines(True), file)
        module.__file__ = file
        exec(compile(self.text, file, "exec", dont_inherit=True), module.__dict__)
        # Readable for tracebacks as long as there are models of it, and no longer.
        weakref.finalize(getattr(module, self.name), linecache.cache.pop, file, None)
        return module

    def instantiate(self) -> torch.nn.Module:
        """The model, as its generated constructor initialises it.

        Models of equal sources are of one class, as long as there are such models.
        """
        kind = _CLASSES.get(self)
        if kind is None:
            kind = _CLASSES[self] = getattr(self.load(), self.name)
        made: torch.nn.Module = kind()
        return made


_CLASSES: weakref.WeakValueDictionary[Source, type] = weakref.WeakValueDictionary()


def source_of(graph: Graph) -> Source:
    """The source of a graph: imports torch and the user's own modules, nothing else."""
    classes = Classes(graph)
    body = list(classes.lines())
    imports = classes.imports
    lines = imports.lines()
    text = "\n".join(lines) + (_UNPACK if imports.unpacks else "") + "\n".join(body) + "\n"
    return Source(text, classes.name_of(graph))


def to_source(graph: Graph) -> str:
    """Formatted source of a graph."""
    return source_of(graph).formatted()


def load(graph: Graph) -> ModuleType:
    """The source of a graph, executed."""
    return source_of(graph).load()


def instantiate(graph: Graph) -> torch.nn.Module:
    """The module of the graph, freshly initialised, in the mode that the converted one was in."""
    made = source_of(graph).instantiate()
    return made if graph.training else made.eval()
