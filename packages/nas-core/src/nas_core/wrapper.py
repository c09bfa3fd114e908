"""The class decorators: ``model_wrapper`` for models, ``basic_unit`` for indivisible parts."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from nas_core.architecture import Value
from nas_core.building import Building
from nas_core.choice import Choice, Key
from nas_core.construction import Fixed, Open, current, running, take_key
from nas_core.errors import NasError, OpenChoiceError
from nas_core.expression import concrete, expressions_in

__all__ = [
    "Record",
    "arguments_of",
    "basic_unit",
    "creation_of",
    "is_basic_unit",
    "model_wrapper",
    "record_of",
    "remember_arguments",
    "remember_creation",
]

M = TypeVar("M", bound=type[torch.nn.Module])

_RECORD = "_nas_record"
_ARGUMENTS = "_nas_arguments"
_CREATION = "_nas_creation"
_CHOICE = re.compile(r"\b(ValueChoice|Operation|Condition)\b")  # the classes of open values


@dataclass
class Record:
    """How a model was constructed.

    Attributes:
        start: when it began, among all that its session has made.
        nested: whether the constructor of another model made it.
        chosen: what ``choose`` decided meanwhile.
        made: the recipe and the space, once asked for.
    """

    cls: type[torch.nn.Module]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    start: Key
    nested: bool
    chosen: dict[str, tuple[Choice, Value]] = field(default_factory=dict, repr=False)
    made: Any = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "made": None}


def model_wrapper(cls: M) -> M:
    """Record the arguments with which models of this class are made, so that an engine can make
    them again with choices fixed.

    The class stays the class: it is changed in place, and its subclasses are wrapped with it.
    Both ``super().__init__()`` and ``super(Net, self).__init__()`` work in it.

    >>> import nas_core as nas
    >>> import nas_core.nn as nn
    >>> @nas.model_wrapper
    ... class Net(nn.Module):
    ...     def __init__(self, classes):
    ...         super(Net, self).__init__()
    ...         self.head = nn.Linear(nn.ValueChoice([8, 16], label="width"), classes)
    >>> nas.build(Net(10), {"width": 16})
    Net(
      (head): Linear(in_features=16, out_features=10, bias=True)
    )

    Raises:
        TypeError: the class is no ``torch.nn.Module``.
    """
    _check_module_class(cls, "model_wrapper")
    _wrap_init(cls)
    own = cls.__dict__.get("__init_subclass__")
    wrapped: Any = cls

    def wrap_subclass(sub: type[torch.nn.Module], /, **kwargs: Any) -> None:
        if own is None:
            super(wrapped, sub).__init_subclass__(**kwargs)
        else:
            own.__get__(None, sub)(**kwargs)
        if "__init__" in sub.__dict__:
            _wrap_init(sub)

    wrapped.__init_subclass__ = classmethod(wrap_subclass)
    return cls


def _wrap_init(cls: type[torch.nn.Module]) -> None:
    init: Any = cls.__init__

    @functools.wraps(init)
    def __init__(self: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        session = current()
        if _RECORD in self.__dict__:  # The __init__ of a subclass recorded already.
            init(self, *args, **kwargs)
        elif isinstance(session, Fixed):
            session.next += 1
            self.__dict__[_RECORD] = None
            init(self, *args, **kwargs)
            del self.__dict__[_RECORD]
        else:
            inside = session if isinstance(session, Open) else Open()
            record = Record(type(self), args, kwargs, inside.take_key(), session is not None)
            self.__dict__[_RECORD] = record
            before = len(inside.asked)
            with running(inside), _hinting():
                init(self, *args, **kwargs)
            record.chosen = {label: inside.chosen[label] for label in inside.asked[before:]}
            _adopt(args, kwargs, *(module.__dict__ for module in self.modules()))
            if session is None:
                _name_choices(self)

    cls.__init__ = __init__  # type: ignore[method-assign]


@contextmanager
def _hinting() -> Iterator[None]:
    """Tell of a type that was not expected, if it is that of a choice, what takes choices."""
    try:
        yield
    except TypeError as error:
        if _CHOICE.search(str(error)) and not isinstance(error, OpenChoiceError):
            error.add_note(
                "A choice has no value while the model is open: layers of nas_core.nn take "
                "choices, those of torch.nn do not; a class of yours takes them with "
                "@nas_core.basic_unit; nas_core.choose gives a value at once"
            )
        raise


def _name_choices(model: torch.nn.Module) -> None:
    """Now, so that no part of the model is asked first: positions count from the whole model."""
    from nas_core.model.scan import name_choices

    name_choices(model)


def _adopt(*parts: object) -> None:
    """Let choices that were created elsewhere have their first option in the open model."""
    for expression in expressions_in(parts):
        for choice in expression.choices():
            choice.in_model = True


def record_of(model: torch.nn.Module) -> Record | None:
    """How the model was constructed, if its class is wrapped and its choices are open."""
    found: Record | None = model.__dict__.get(_RECORD)
    return found


def basic_unit(cls: M) -> M:
    """Keep modules of this class whole: an engine that works on graphs makes each one node.

    Its constructor may be given choices; it sees their values.

    >>> import nas_core as nas
    >>> import nas_core.nn as nn
    >>> @nas.basic_unit
    ... class Scale(nn.Module):
    ...     def __init__(self, factor):
    ...         super().__init__()
    ...         self.factor = factor
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> nas.Space.of(Scale(nn.ValueChoice([2, 3], label="factor"))).options
    {'factor': (2, 3)}

    Raises:
        TypeError: the class is no ``torch.nn.Module``.
    """
    _check_module_class(cls, "basic_unit")
    init: Any = cls.__init__

    @functools.wraps(init)
    def __init__(self: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        if _ARGUMENTS in self.__dict__:  # A subclass that is a basic unit too.
            init(self, *concrete(args), **concrete(kwargs))
            return
        session, key = current(), take_key()

        def initialise(module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
            fixed = isinstance(session, Fixed)
            given = (concrete(args), concrete(kwargs))
            module.__dict__[_ARGUMENTS] = given if fixed else (args, kwargs)
            if session is None or key is None:
                init(module, *given[0], **given[1])
            else:
                session.within(key, init, module, *given[0], **given[1])

        if isinstance(session, Building) and key is not None and type(self) is cls:
            session.initialise(self, key, initialise, args, kwargs)
        else:
            initialise(self, *args, **kwargs)
            if isinstance(session, Open):
                remember_creation(self, key)

    unit: Any = cls
    unit.__init__ = __init__
    unit.nas_basic_unit = True
    return cls


def is_basic_unit(module: torch.nn.Module) -> bool:
    """Whether its class, or one that it inherits from, was decorated with ``basic_unit``."""
    return bool(getattr(type(module), "nas_basic_unit", False))


def arguments_of(
    module: torch.nn.Module,
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments with which a basic unit, or a layer with open choices, was constructed."""
    found: tuple[tuple[Any, ...], dict[str, Any]] | None = module.__dict__.get(_ARGUMENTS)
    return found


def remember_arguments(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Keep arguments that hold open choices, for whoever asks what the choices are."""
    if any(True for _ in expressions_in((args, kwargs))):
        module.__dict__.setdefault(_ARGUMENTS, (args, kwargs))


def remember_creation(module: torch.nn.Module, key: Key | None) -> None:
    """Keep which creation of its constructor's run a part of an open model is; copies know it too.

    Then it can be told which creations an architecture uses.
    """
    if key is not None:
        module.__dict__.setdefault(_CREATION, key)


def creation_of(module: torch.nn.Module) -> Key | None:
    """Which creation a layer or basic unit of an open model is, if a constructor made it."""
    found: Key | None = module.__dict__.get(_CREATION)
    return found


def _check_module_class(cls: object, decorator: str) -> None:
    if not (isinstance(cls, type) and issubclass(cls, torch.nn.Module)):
        raise _NoModuleClassError(
            f"@{decorator} decorates classes that inherit from torch.nn.Module, not {cls!r}"
        )


class _NoModuleClassError(NasError, TypeError):
    """A decorator stands on something else than a module class."""
