"""Source text: what is imported, the definitions, and the formatting."""

from __future__ import annotations

import itertools
import linecache
import weakref
from types import ModuleType

import black
import torch

from nas_engine_graph.backend.classes import Classes
from nas_engine_graph.ir import Graph

__all__ = ["formatted", "instantiate", "load", "to_source", "write"]

_MODE = black.Mode(line_length=100)
_COUNTER = itertools.count()
_UNPACK = '''

def _unpack(text: str, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A tensor from its packed elements."""
    content = bytearray(zlib.decompress(base64.b85decode(text)))
    return torch.frombuffer(content, dtype=torch.uint8).view(dtype).reshape(shape)
'''


def write(graph: Graph) -> tuple[str, str]:
    """The source without formatting, and the name of the class of the whole graph."""
    classes = Classes(graph)
    body = list(classes.lines())
    imports = classes.imports
    lines = imports.lines()
    text = "\n".join(lines) + (_UNPACK if imports.unpacks else "") + "\n".join(body) + "\n"
    return text, classes.name_of(graph)


def to_source(graph: Graph) -> str:
    """Formatted source: imports torch and the user's own modules, nothing else."""
    return formatted(write(graph)[0])


def formatted(text: str) -> str:
    """The text as black writes it."""
    return black.format_str(text, mode=_MODE)


def load(graph: Graph) -> ModuleType:
    """The source, executed as a module that tracebacks and ``inspect`` can read."""
    return _load(graph)[0]


def _load(graph: Graph) -> tuple[ModuleType, str]:
    text, name = write(graph)
    number = next(_COUNTER)
    module = ModuleType(f"nas_graph_{number}")
    file = f"<graph {graph.name} {number}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    module.__file__ = file
    exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)
    # Readable for tracebacks as long as there are models of it, and no longer.
    weakref.finalize(getattr(module, name), linecache.cache.pop, file, None)
    return module, name


def instantiate(graph: Graph) -> torch.nn.Module:
    """The module of the graph, freshly initialised, in the mode that the converted one was in."""
    module, name = _load(graph)
    made: torch.nn.Module = getattr(module, name)()
    return made if graph.training else made.eval()
