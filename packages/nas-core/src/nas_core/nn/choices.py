"""The choices that are modules: which layer, which inputs, how many blocks.

While the model is open they hold all that may be chosen, and run as the first option. While a
candidate is built their constructors return what was chosen, plain PyTorch.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch.nn import Module

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice, OneOf, Subset, caller
from nas_core.conditional import Scanner, join
from nas_core.construction import SESSION, Fixed, current, take_key
from nas_core.errors import NasError
from nas_core.expression import Expression
from nas_core.labels import labelled
from nas_core.nn.chosen import ChosenInputs, choosing
from nas_core.quick import sequential
from nas_core.space import Blocks, Decision, Item
from nas_core.value import ValueChoice

__all__ = ["InputChoice", "LayerChoice", "Reduction", "Repeat"]

Reduction: TypeAlias = Literal["sum", "mean", "concat", "none"]


class ChoiceError(NasError, ValueError):
    """A choice is declared with arguments that make no sense; says the line."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} (at {caller()})")


class _ChoiceType(type):
    """Calling a choice class while a candidate is built gives what was chosen."""

    @property
    def __signature__(cls) -> inspect.Signature:
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        session = SESSION.get()
        if not isinstance(session, Fixed):
            return super().__call__(*args, **kwargs)
        # The frequent ones without a detour over the open choice.
        if cls is LayerChoice:
            return _chosen_layer(session, *args, **kwargs)
        if cls is Repeat:
            return _chosen_chain(session, *args, **kwargs)
        if cls is InputChoice:
            return _chosen_inputs(session, *args, **kwargs)
        return super().__call__(*args, **kwargs).chosen(session)


def _chosen_layer(
    session: Fixed,
    candidates: Mapping[Any, torch.nn.Module] | Iterable[torch.nn.Module],
    label: str | None = None,
) -> torch.nn.Module:
    layers: Mapping[Any, torch.nn.Module]
    layers = candidates if isinstance(candidates, (dict, Mapping)) else dict(enumerate(candidates))
    name, value = session.next_value(label, next(iter(layers)))
    return _keep(layers, value, name, session)


def _keep(
    layers: Mapping[Any, torch.nn.Module], value: Value, label: str, session: Fixed
) -> torch.nn.Module:
    """The chosen layer; the others are dropped."""
    chosen = layers[value]
    if label:
        labelled(chosen, label)
    session.drop(*[layer for layer in layers.values() if layer is not chosen])
    return chosen


class LayerChoice(torch.nn.Module, metaclass=_ChoiceType):
    """One of several layers.

    The built model holds the chosen layer itself. Layers that are not chosen cost nothing if they
    are made by ``nas_core.nn`` or are basic units.

    Args:
        candidates: the layers, as a dict from name to layer (the architecture then holds the
            name) or as a list (it holds the index). They may hold choices themselves, which exist
            only where their layer is chosen.
        label: the name of the choice; its position in the model if it is None.

    >>> import nas_core as nas
    >>> body = LayerChoice({"wide": torch.nn.Linear(4, 8), "skip": torch.nn.Identity()}, "body")
    >>> [dict(arch) for arch in nas.Space.of(body).enumerate()]
    [{'body': 'wide'}, {'body': 'skip'}]

    Raises:
        ValueError: there is no candidate, or a candidate is no module or a name no string.
    """

    def __init__(
        self,
        candidates: Mapping[str, torch.nn.Module] | Iterable[torch.nn.Module],
        label: str | None = None,
    ) -> None:
        layers: Mapping[Any, torch.nn.Module]
        layers = candidates if isinstance(candidates, Mapping) else dict(enumerate(candidates))
        for name in layers if isinstance(candidates, Mapping) else ():
            if not isinstance(name, str):
                raise ChoiceError(f"the candidates' names must be strings, not {name!r}")
        choice = Choice("LayerChoice", OneOf(list(layers)), label, caller(), take_key())
        self._hold(choice, layers)

    @classmethod
    def of(cls, choice: Choice, layers: Mapping[Any, torch.nn.Module]) -> LayerChoice:
        """An open choice of layers whose identity is given: several may be the same decision."""
        made = cls.__new__(cls)
        made._hold(choice, layers)  # noqa: SLF001  It is one of this class.
        return made

    def _hold(self, choice: Choice, layers: Mapping[Any, torch.nn.Module]) -> None:
        super().__init__()
        for name, layer in layers.items():
            if not isinstance(layer, torch.nn.Module):
                raise ChoiceError(f"candidate {name!r} must be a torch.nn.Module, not {layer!r}")
            # Not add_module: a candidate may have any name, "type" or "float" too.
            self._modules[str(name)] = layer
        self._names = list(layers)
        self.choice = choice

    @property
    def label(self) -> str:
        """The name of the choice; empty until one is generated by ``Space.of``."""
        return self.choice.label

    def candidates(self) -> dict[Value, torch.nn.Module]:
        """The layers by their value in an architecture."""
        found = {name: self._modules[str(name)] for name in self._names}
        return {name: layer for name, layer in found.items() if layer is not None}

    def nas_items(self, scanner: Scanner, path: str) -> Iterator[Item]:
        """The choice, and what each layer asks for."""
        scanner.see(self.choice, path)
        yield Decision(
            self.choice,
            {
                canonical(value): tuple(scanner.visit(layer, join(path, str(value))))
                for value, layer in self.candidates().items()
            },
        )

    def chosen(self, session: Fixed) -> torch.nn.Module:
        """The layer that the running constructor gets."""
        value = session.value(self.choice)
        return _keep(self.candidates(), value, self.choice.label, session)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.candidates()[self.choice.domain.default](*args, **kwargs)


class InputChoice(torch.nn.Module, metaclass=_ChoiceType):
    """Some of several tensors, reduced to one.

    In an architecture the value is the sorted list of the chosen indices.

    Args:
        n_candidates: how many tensors ``forward`` will be given, as a list.
        n_chosen: how many of them are chosen, or None for any number but zero.
        reduction: ``"sum"``, ``"mean"``, ``"concat"`` (along dimension 1), or ``"none"`` for the
            list of the chosen tensors. If ``n_chosen`` is 1, or one is chosen and reduced, the
            result is that tensor itself.
        label: the name of the choice; its position in the model if it is None.

    >>> import nas_core as nas
    >>> nas.Space.of(InputChoice(3, n_chosen=2, label="skip")).options["skip"]
    ([0, 1], [0, 2], [1, 2])

    Raises:
        ValueError: a count or the reduction is none of these.
    """

    def __init__(
        self,
        n_candidates: int,
        n_chosen: int | None = 1,
        reduction: Reduction = "sum",
        label: str | None = None,
    ) -> None:
        super().__init__()
        domain = _subset(n_candidates, n_chosen, reduction)
        self.n_candidates = n_candidates
        self.n_chosen = n_chosen
        self.reduction = reduction
        self.choice = Choice("InputChoice", domain, label, caller(), take_key())

    @property
    def label(self) -> str:
        """The name of the choice; empty until one is generated by ``Space.of``."""
        return self.choice.label

    def nas_items(self, scanner: Scanner, path: str) -> Iterator[Item]:
        """The choice."""
        scanner.see(self.choice, path)
        yield Decision(self.choice, {})

    def chosen(self, session: Fixed) -> ChosenInputs:
        """The module that the running constructor gets."""
        indices = session.value(self.choice)
        made = choosing(indices, self.n_candidates, self.n_chosen, self.reduction)
        return labelled(made, self.choice.label) if self.choice.label else made

    def forward(self, inputs: Sequence[torch.Tensor]) -> Any:
        first = self.choice.domain.default
        return choosing(first, self.n_candidates, self.n_chosen, self.reduction)(inputs)


def _subset(n_candidates: int, n_chosen: int | None, reduction: Reduction) -> Subset:
    """What an ``InputChoice`` of these arguments may choose."""
    if reduction not in ("sum", "mean", "concat", "none"):
        raise ChoiceError(f"reduction must be 'sum', 'mean', 'concat' or 'none', not {reduction!r}")
    for name, count in (("n_candidates", n_candidates), ("n_chosen", n_chosen)):
        if count is not None and type(count) is not int:
            raise ChoiceError(f"{name} must be an integer, not {count!r}")
    return Subset(n_candidates, n_chosen)


def _chosen_inputs(
    session: Fixed,
    n_candidates: int,
    n_chosen: int | None = 1,
    reduction: Reduction = "sum",
    label: str | None = None,
) -> ChosenInputs:
    subset = _subset(n_candidates, n_chosen, reduction)
    name, value = session.next_value(label, None)
    indices = subset.default if value is None else subset.find(value)
    made = choosing(indices, n_candidates, n_chosen, reduction)
    return labelled(made, name) if name else made


class Repeat(torch.nn.Module, metaclass=_ChoiceType):
    """A chain of blocks whose length is a choice; the built model holds a ``torch.nn.Sequential``.

    Args:
        block: a module, which is copied (choices in it are the same decision in all copies), or
            a function from the position to a module (each has choices of its own, unless they
            have equal labels). Choices in block ``i`` exist only where the depth is over ``i``.
        depth: how many blocks; an integer, a range ``(min, max)`` with both ends included, or a
            ``ValueChoice`` (or an expression of such). Zero blocks hand on their input.
        label: the name of the choice if ``depth`` is a range; its position if it is None.

    >>> import nas_core as nas
    >>> net = Repeat(lambda i: torch.nn.Linear(4, 4), (0, 2), label="depth")
    >>> nas.Space.of(net).options
    {'depth': (0, 1, 2)}

    Raises:
        ValueError: the depth is none of these or may be negative, or a block is no module.
    """

    def __init__(
        self,
        block: torch.nn.Module | Callable[[int], torch.nn.Module],
        depth: int | tuple[int, int] | Expression,
        label: str | None = None,
    ) -> None:
        super().__init__()
        self.depth = count = _depth(depth, label)
        if isinstance(count, Expression):
            count = count.known() if isinstance(current(), Fixed) else max(count.possible())
        for i, made in enumerate(_blocks(block, count)):
            self._modules[str(i)] = made

    def nas_items(self, scanner: Scanner, path: str) -> Iterator[Item]:
        """The depth, and what each block asks for."""
        blocks = [
            tuple(scanner.visit(block, join(path, name)))
            for name, block in self._modules.items()
            if block is not None
        ]
        if isinstance(self.depth, Expression):
            for choice in self.depth.choices():
                scanner.see(choice, path)
            yield Blocks(self.depth, blocks)
        else:
            yield from (item for block in blocks for item in block)

    def chosen(self, session: Fixed) -> torch.nn.Sequential:
        """The chain that the running constructor gets."""
        chain = torch.nn.Sequential(*(x for x in self._modules.values() if x is not None))
        label = self.depth.label if isinstance(self.depth, ValueChoice) else ""
        return labelled(chain, label) if label else chain

    def forward(self, x: Any) -> Any:
        depth = self.depth.default() if isinstance(self.depth, Expression) else self.depth
        for i in range(depth):
            x = self.get_submodule(str(i))(x)
        return x


def _depth(depth: int | tuple[int, int] | Expression, label: str | None) -> int | Expression:
    if isinstance(depth, Expression):
        possible = depth.possible()
    elif isinstance(depth, (tuple, list)) and len(depth) == 2:
        low, high = depth
        if type(low) is not int or type(high) is not int or not 0 <= low <= high:
            raise ChoiceError(f"the range of a depth must be 0 <= min <= max, not {depth!r}")
        possible = list(range(low, high + 1))
        depth = ValueChoice(possible, label)
        depth.choice.kind = "Repeat"
    else:
        possible = [depth]
    for value in possible:
        if type(value) is not int or value < 0:
            raise ChoiceError(f"a depth must be an integer of at least 0, not {value!r}")
    return depth


def _blocks(
    block: torch.nn.Module | Callable[[int], torch.nn.Module], count: int
) -> Iterator[torch.nn.Module]:
    key, session = take_key(), current()
    for i in range(count):
        if isinstance(block, Module):
            made = block if i == 0 else copy.deepcopy(block)
        elif session is None or key is None:
            made = block(i)
        else:
            made = session.within((*key, i), block, i)
        if not isinstance(made, Module):
            raise ChoiceError(f"block {i} of a Repeat must be a torch.nn.Module, not {made!r}")
        yield made
    if count == 0 and isinstance(session, Fixed):
        session.drop(block)


def _chosen_chain(
    session: Fixed,
    block: torch.nn.Module | Callable[[int], torch.nn.Module],
    depth: int | tuple[int, int] | Expression,
    label: str | None = None,
) -> torch.nn.Sequential:
    name = ""
    if isinstance(depth, Expression):
        count = depth.known()
        name = depth.label if isinstance(depth, ValueChoice) else ""
    elif isinstance(depth, (tuple, list)):
        name, count = session.next_value(label, depth[0])
    else:
        count = depth
    chain = sequential(_blocks(block, count))
    return labelled(chain, name) if name else chain
