"""The module tree as graphs: what is registered, in order, and what is shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nas_core.labels import label_of
from torch import Tensor, nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.assembly.apart import apart
from nas_engine_graph.frontend.assembly.results import with_true_results
from nas_engine_graph.frontend.assembly.sharing import Sharing
from nas_engine_graph.frontend.elements import Memory
from nas_engine_graph.frontend.encode import (
    NotEncodableError,
    dtype_name,
    initial,
    settings_of,
    stored,
)
from nas_engine_graph.frontend.layers.layers import UnrecoverableError, named_tensors
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.objects import encoded
from nas_engine_graph.frontend.overriding.switches import pinned, resets, versioned
from nas_engine_graph.frontend.overriding.trials import Trials
from nas_engine_graph.frontend.world import Path, Tree
from nas_engine_graph.ir import (
    Absent,
    Attribute,
    Buffer,
    End,
    Function,
    Graph,
    Init,
    Layer,
    Member,
    Parameter,
    Reset,
    Tie,
    unchained,
)
from nas_engine_graph.ir.strides import has_gaps

__all__ = ["assemble"]

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


class _Assembly:
    def __init__(self, world: Tree) -> None:
        self.world, self.trials = world, Trials()
        self.found = apart(with_true_results(world))
        self.memories: Mapping[End, Memory] = {}
        self.ties = self.tied()
        self.turned = _turned(world.root)

    def tied(self) -> Mapping[End, Tie]:
        """What has to be tied: what is registered comes before what attributes hold."""
        functions = (f for owned in self.found.values() for f in owned.values())
        sharing = Sharing(functions, self.world.root)
        for module, path in list(self.registered(self.world.root, (), sharing)):
            if self.world.layer(module):
                sharing.whole(module, path)
            else:
                self.held(module, path, sharing)
        ties = sharing.ties()
        self.memories = sharing.memories
        return ties

    def registered(
        self, module: nn.Module, path: Path, sharing: Sharing
    ) -> Iterator[tuple[nn.Module, Path]]:
        """Notes the tensors and modules inside a module; yields it after those, each once."""
        if self.world.layer(module):
            for name, tensor in named_tensors(module).items():
                place, own = (*path, *name.split(".")), not is_of_torch(type(module))
                sharing.first(tensor, place, whole=path, own=own)
        else:
            for name, found in [*module._parameters.items(), *module._buffers.items()]:
                if found is not None:
                    sharing.first(found, (*path, name))
            for name, child in module._modules.items():
                if child is not None and sharing.first(child, (*path, name)):
                    yield from self.registered(child, (*path, name), sharing)
        yield module, path

    def held(self, module: nn.Module, path: Path, sharing: Sharing) -> None:
        """Notes the attributes of a module."""
        anew = self.resets(module, path)
        always, some = _always(anew), {reset.attribute for reset in anew}
        for name, kind in sorted(self.kinds(module, path).items()):
            value = getattr(module, name)
            if name in always:
                sharing.renewed(value, (*path, name))
            else:
                sharing.attribute(value, (*path, name), kind, name in some)

    def module(self, module: nn.Module, path: Path) -> Member:
        if self.world.layer(module):
            return self.layer(module, path)
        members: list[tuple[str, Member]] = []
        for name, parameter in module._parameters.items():
            members.append((name, self.parameter(parameter, (*path, name))))
        for name, buffer in module._buffers.items():
            persistent = name not in module._non_persistent_buffers_set
            members.append((name, self.buffer(buffer, (*path, name), persistent)))
        for name, child in module._modules.items():
            if child is None or (*path, name) in self.ties:
                members.append((name, Absent("module")))
            else:
                members.append((name, self.module(child, (*path, name))))
        anew = self.resets(module, path)
        members += self.attributes(module, path, anew)
        return Graph(
            type(module).__name__,
            tuple(members),
            self.functions(path),
            self.kind(module, path),
            pinned=pinned(module, ".".join(path)),
            resets=anew,
            versioned=versioned(module, ".".join(path), self.trials),
            evaluating=self.evaluating(module, path),
            label=label_of(module),
            training=module.training,
        )

    def resets(self, module: nn.Module, path: Path) -> tuple[Reset, ...]:
        """The resets of those attributes that anybody reads."""
        kinds, found = self.world.attributes.get(path, {}), resets(module, ".".join(path))
        for reset in found:
            # It may be empty or None, and only what is neither be set anew.
            if kinds.get(reset.attribute, "").startswith("Optional") and reset.value in ({}, []):
                text = f"an override that empties {reset.attribute!r}, which may be None"
                raise UnsupportedModuleError(text, ".".join(path))
        return tuple(reset for reset in found if reset.attribute in kinds)

    def kinds(self, module: nn.Module, path: Path) -> dict[str, str]:
        """The types of the attributes that are kept, as annotations."""
        # What is saved bears the version, and may be loaded into the original.
        versions = {"_version": "int"} if module._version != nn.Module._version else {}
        return {**versions, **self.world.attributes.get(path, {})}

    def kind(self, module: nn.Module, path: Path) -> str:
        for cls in _CONTAINERS:
            if isinstance(module, cls):
                own = cls.forward if cls is nn.Sequential else nn.Module.forward
                if type(module).forward is own:
                    extra = set(self.world.functions.get(path, ())) - {"forward"}
                    chained = cls is not nn.Sequential or self.is_chain(module, path)
                    bare = not module._buffers and not self.kinds(module, path)
                    if not extra and bare and chained:
                        return f"torch.nn.{cls.__name__}"
        return "torch.nn.Module"

    def is_chain(self, module: nn.Module, path: Path) -> bool:
        """Whether what members are called with is what the one before gives, and no list of it."""
        forward = self.found.get(path, {}).get("forward")
        return forward is None or not unchained([*module._modules], forward.body)

    def functions(self, path: Path) -> tuple[Function, ...]:
        found = self.found.get(path, {})
        return tuple(sorted(found.values(), key=lambda f: (f.free, f.name != "forward")))

    def evaluating(self, module: nn.Module, path: Path) -> bool:
        parent = self.world.module(path[:-1]) if path else self.world.root
        return parent.training and not module.training and not self.turned

    def layer(self, module: nn.Module, path: Path) -> Layer:
        try:
            layer = self.world.recover(module)
            label, evaluating = label_of(module), self.evaluating(module, path)
            if label is not None or evaluating:
                layer = replace(layer, label=label, evaluating=evaluating)
            return self.laid(layer, module, path)
        except UnrecoverableError as error:
            raise UnsupportedModuleError(
                f"{type(module).__name__} can't be written as a constructor call: {error}",
                ".".join(path),
            ) from error

    def laid(self, layer: Layer, module: nn.Module, path: Path) -> Layer:
        """A layer with the tensors in it that are made anew, of which no more need be said."""
        if not (self.memories or layer.strides or layer.settings):
            return layer
        placed = tuple(self.placed(module, path))
        tied = {tie[len(path) :] for tie in self.ties if tie[: len(path)] == path}

        def is_kept(name: str) -> bool:
            return tuple(name.split(".")) not in tied

        strides = tuple(s for s in layer.strides if is_kept(s[0]) and s[0] not in dict(placed))
        tensors = named_tensors(module)
        for name, steps in strides:
            if has_gaps(tensors[name].shape, steps):
                text = f"its tensor {name!r} has the strides {steps}, with others' elements between"
                raise UnrecoverableError(f"{text} its own")
        settings = tuple(s for s in layer.settings if is_kept(s[0].rpartition(".")[0]))
        if placed or (strides, settings) != (layer.strides, layer.settings):
            layer = replace(layer, strides=strides, settings=(*placed, *settings))
        return layer

    def placed(self, module: nn.Module, path: Path) -> Iterator[tuple[str, Member]]:
        """The tensors of a layer that are made anew, as parts of a memory that has more."""
        tensors = named_tensors(module)
        for name, tensor in tensors.items():
            if (here := (*path, *name.split("."))) in self.memories:
                trained = isinstance(tensor, nn.Parameter)
                made = self.parameter(tensor, here) if trained else self.buffer(tensor, here, True)
                assert isinstance(made, Parameter | Buffer)
                yield name, replace(made, settings=())  # What is set on it is set on the layer.

    def parameter(self, tensor: Tensor | None, path: Path) -> Member:
        if tensor is None or path in self.ties:
            return Absent("parameter")
        if type(tensor) is not nn.Parameter:
            raise UnsupportedModuleError(
                f"parameter {path[-1]!r} of type {type(tensor).__name__}", ".".join(path[:-1])
            )
        init, strides, memory = self.laid_out(tensor, path, drawn=True)
        kind = dtype_name(tensor.dtype)
        settings = self.settings(tensor, path)
        shape, trained = tuple(tensor.shape), tensor.requires_grad
        return Parameter(shape, init, kind, trained, strides, settings, memory)

    def settings(self, tensor: Tensor, path: Path) -> tuple[tuple[str, Any], ...]:
        """The attributes that were set on a tensor."""
        try:
            return settings_of(tensor)
        except NotEncodableError as error:
            raise UnsupportedModuleError(f"{path[-1]!r} {error}", ".".join(path[:-1])) from error

    def laid_out(
        self, tensor: Tensor, path: Path, drawn: bool
    ) -> tuple[Init, tuple[int, ...] | None, tuple[int, int] | None]:
        """The first elements, the strides if they are unusual, and the memory that has more."""
        try:
            found = stored(tensor, self.memories.get(path))
        except NotEncodableError as error:
            text = f"tensor {path[-1]!r}: {error}"
            raise UnsupportedModuleError(text, ".".join(path[:-1])) from error
        return initial(found.elements, drawn), found.strides, found.memory

    def buffer(self, tensor: Tensor | None, path: Path, persistent: bool) -> Member:
        if tensor is None:
            return Absent("buffer" if persistent else "transient buffer")
        if type(tensor) is not Tensor:
            text = f"buffer {path[-1]!r} of type {type(tensor).__name__}"
            raise UnsupportedModuleError(text, ".".join(path[:-1]))
        if path in self.ties:
            return Absent("buffer" if persistent else "transient buffer")
        init, strides, memory = self.laid_out(tensor, path, drawn=False)
        kind, settings = dtype_name(tensor.dtype), self.settings(tensor, path)
        settings += (("requires_grad", True),) if tensor.requires_grad else ()
        return Buffer(tuple(tensor.shape), init, kind, persistent, strides, settings, memory)

    def attributes(
        self, module: nn.Module, path: Path, anew: tuple[Reset, ...]
    ) -> list[tuple[str, Member]]:
        found: list[tuple[str, Member]] = []
        always = _always(anew)
        for name, kind in sorted(self.kinds(module, path).items()):
            value, tied = getattr(module, name), self.ties
            if name in always:
                value, tied = always[name], {}
            try:
                made = encoded(value, (*path, name), tied, self.memories)
                found.append((name, Attribute(made, kind)))
            except NotEncodableError as error:
                raise UnsupportedModuleError(
                    f"attribute {name!r}: {error}", ".".join(path)
                ) from error
        return found


def _turned(root: nn.Module) -> tuple[Path, ...]:
    """Those in another mode than the root, if one trains inside of one in eval mode."""
    modes = {name: module.training for name, module in root.named_modules()}
    trained = (name for name, mode in modes.items() if mode and name)
    if all(modes.get(name.rpartition(".")[0], True) for name in trained):
        return ()
    return tuple(tuple(n.split(".")) for n, mode in modes.items() if mode != root.training)


def _always(anew: Iterable[Reset]) -> dict[str, Any]:
    """What a new model has as the next call of train leaves it, such as a cache of weights."""
    return {r.attribute: r.value for r in anew if r.method == "train" and r.mode is None}


def assemble(world: Tree) -> Graph:
    """The graph of the root module, with the graphs of all others inside it."""
    assembly = _Assembly(world)
    made = assembly.module(world.root, ())
    if isinstance(made, Layer):
        raise UnsupportedModuleError(
            f"{type(world.root).__name__} is one layer: there is nothing to convert", outermost=True
        )
    assert isinstance(made, Graph)
    return replace(made, ties=tuple(assembly.ties.values()), turned=assembly.turned)
