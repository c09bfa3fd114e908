"""Source text: what is imported, the definitions, and the formatting."""

from __future__ import annotations

import itertools
import linecache
import weakref
from dataclasses import dataclass, field
from types import ModuleType

import black
import torch

from nas_engine_graph.backend.classes import Classes
from nas_engine_graph.backend.definitions import Definition, definition, with_definitions
from nas_engine_graph.backend.lines import Places, parted
from nas_engine_graph.backend.placed import Placed, placed
from nas_engine_graph.importable import local_class
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
_RESTORED = '''

def _restored(cls: Any, /, **fields: Any) -> Any:
    """An object as it was: with these attributes, and without a call of its constructor."""
    made = cls.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
'''
_LOADED = '''

def _loaded(archive: Tensor, drawn: Any) -> Any:
    """A module as TorchScript has stored it; of large parameters there are mean and deviation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript says that it is deprecated.
        made = torch.jit.load(io.BytesIO(bytes(archive.tolist())))
    parameters = dict(made.named_parameters())
    for name, (mean, deviation) in drawn:
        nn.init.normal_(parameters[name], mean, deviation)
    return made
'''


@dataclass(frozen=True)
class Source:
    """Generated source as a value, not formatted: it can be sent to another process, and run there.

    Attributes:
        text: the text of a Python module.
        name: the class in it that is the model.
        modules: the class of each module, by its path; empty where that does not tell everything.
        definitions: the classes that functions define, which this process has.
        places: where its lines are from.

    >>> Source("from torch import nn\\nclass Net(nn.ReLU): ...", "Net").instantiate()
    Net()
    """

    text: str
    name: str
    modules: Placed = ()
    definitions: tuple[Definition, ...] = ()
    places: Places = field(default=(), compare=False, repr=False)

    def formatted(self) -> str:
        """The text as people like to read it.

        Raises:
            UnsupportedModuleError: a class that a function defines can't be written out.
        """
        return black.format_str(with_definitions(self.text, self.definitions), mode=_MODE)

    def load(self) -> ModuleType:
        """The source, executed as a module that tracebacks and ``inspect`` can read."""
        number = next(_COUNTER)
        module = ModuleType(f"nas_graph_{number}")
        file = f"<graph {self.name} {number}>"
        given = {d.name: found[1] for d in self.definitions if (found := local_class(d.dotted))}
        missing = [d for d in self.definitions if d.name not in given]
        text = with_definitions(self.text, missing) if missing else self.text
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        module.__file__ = file
        more = text.count("\n") - self.text.count("\n")  # Definitions stand before what has places.
        vars(module)["__places__"] = {line + more: place for line, place in self.places}
        vars(module).update(given)
        exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)
        # Readable for tracebacks as long as there are models of it, and no longer.
        weakref.finalize(getattr(module, self.name), linecache.cache.pop, file, None)
        return module

    def instantiate(self) -> torch.nn.Module:
        """The model, as its generated constructor initialises it.

        Models of equal sources are of one class, as long as there are such models.
        """
        made: torch.nn.Module = self.classes()[self.name]()
        return made

    def classes(self) -> dict[str, type[torch.nn.Module]]:
        """The class that is the model, and those that ``modules`` names, by their names."""
        names = {self.name, *(kind for _, kind in self.modules if "." not in kind)}
        alive = {name: kind for name in names if (kind := _CLASSES.get((self, name))) is not None}
        if len(alive) == len(names):
            return alive
        scope = vars(self.load())
        found: dict[str, type[torch.nn.Module]] = {name: scope[name] for name in names}
        _CLASSES.update(((self, name), kind) for name, kind in found.items())
        return found


_CLASSES: weakref.WeakValueDictionary[tuple[Source, str], type[torch.nn.Module]] = (
    weakref.WeakValueDictionary()
)


def source_of(graph: Graph) -> Source:
    """The source of a graph: imports torch and the user's own modules, nothing else."""
    classes = Classes(graph)
    marked = list(classes.lines())
    imports = classes.imports
    helpers = (_UNPACK if imports.unpacks else "") + (_RESTORED if imports.restores else "")
    helpers += _LOADED if imports.loads else ""
    head = "\n".join(imports.lines()) + helpers
    body, places = parted(marked, head.count("\n") + 1)
    text = head + "\n".join(body) + "\n"
    definitions = tuple(itertools.starmap(definition, imports.locals))
    modules = placed(graph, classes.class_of)
    return Source(text, classes.name_of(graph), modules, definitions, places)


def to_source(graph: Graph) -> str:
    """Formatted source of a graph."""
    return source_of(graph).formatted()


def load(graph: Graph) -> ModuleType:
    """The source of a graph, executed."""
    return source_of(graph).load()


def instantiate(graph: Graph) -> torch.nn.Module:
    """The module of the graph, freshly initialised, in the mode that the converted one was in."""
    made = source_of(graph).instantiate()
    return made if graph.training or graph.turned else made.eval()
