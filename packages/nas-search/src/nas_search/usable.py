"""What an experiment asks of what it is given, and gives each trial; knows nothing of its store."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from inspect import Signature, isroutine, signature

from nas_core import Space

from nas_search.config import ConfigError, differences
from nas_search.strategies import Strategy, StrategyError

__all__ = [
    "require_evaluator",
    "require_executor",
    "require_model",
    "require_restriction",
    "require_strategy",
    "seed_of",
]

_METHODS = {
    "start": ("space", "directions"),
    "propose": ("n",),
    "tell": ("architecture", "outcome"),
}
"""The methods of ``Strategy``, and what each is given."""


def seed_of(seed: int, number: int) -> int:
    """The seed of a trial, from that of the experiment.

    >>> seed_of(0, 0) != seed_of(0, 1)
    True
    """
    return int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:4])


def require_model(found: object) -> None:
    """Refuse what can't be the model of any experiment.

    Raises:
        ConfigError: it is no module.
    """
    import torch

    if not isinstance(found, torch.nn.Module):
        raise ConfigError(f"the model must be a torch.nn.Module, not {_kind(found)}")


def require_evaluator(found: object) -> None:
    """Refuse what can't be the evaluator of any experiment.

    Raises:
        ConfigError: it does not evaluate.
    """
    evaluate = getattr(found, "evaluate", None)
    if isinstance(found, type) or not callable(evaluate):
        wrapped = f"; FunctionEvaluator({found.__name__}) is one" if isroutine(found) else ""
        raise ConfigError(
            "the evaluator must have a method evaluate(model, *, seed, report), "
            f"not be {_kind(found)}{wrapped}"
        )
    if (signed := _uncallable(evaluate, None, seed=0, report=None)) is not None:
        raise ConfigError(
            f"the method evaluate of {type(found).__name__} must take "
            f"(model, *, seed, report), not {signed}"
        )


def require_strategy(found: object) -> None:
    """Refuse what can't be the strategy of any experiment.

    Raises:
        StrategyError: it lacks a method of ``Strategy``, or one takes something else.
    """
    if isinstance(found, type) or not isinstance(found, Strategy):
        raise StrategyError(
            f"the strategy must have the methods start, propose and tell, not be {_kind(found)}"
        )
    for name, takes in _METHODS.items():
        if (signed := _uncallable(getattr(found, name), *takes)) is not None:
            raise StrategyError(
                f"the method {name} of {type(found).__name__} must take "
                f"({', '.join(takes)}), not {signed}"
            )


def require_executor(found: object) -> None:
    """Refuse what can't be the executor of any experiment.

    Raises:
        ConfigError: it lacks a method of ``Executor``.
    """
    methods = [callable(getattr(found, name, None)) for name in ("submit", "shutdown")]
    if isinstance(found, type) or not all(methods):
        raise ConfigError(
            f"the executor must have the methods submit and shutdown, not be {_kind(found)}"
        )


def require_restriction(given: object, whole: Space) -> None:
    """Refuse a space that is another one than that of the model and the evaluator.

    Raises:
        ConfigError: it is no space, or they differ in their choices.
    """
    if not isinstance(given, Space):
        raise ConfigError(f"the space must be a nas_core.Space, not {_kind(given)}")
    there, wanted = (
        {f"choice {label!r}": str(choice.domain) for label, choice in space.choices.items()}
        for space in (given, whole)
    )
    if found := differences(wanted, there):
        raise ConfigError(
            "the space that is given is not that of the model and the evaluator, "
            f"Space.of(model, evaluator), with constraints: {'; '.join(found)}"
        )


def _uncallable(method: Callable[..., object], *args: object, **kwargs: object) -> Signature | None:
    """The signature of a method that does not take these arguments."""
    try:
        found = signature(method)
    except (TypeError, ValueError):  # some builtins have none
        return None
    try:
        found.bind(*args, **kwargs)
    except TypeError:
        return found
    return None


def _kind(found: object) -> str:
    """Say what was given instead.

    >>> _kind(int), _kind(3), _kind(len)
    ('the class int itself', 'an object of the class int', 'the function len')
    """
    if isinstance(found, type):
        return f"the class {found.__name__} itself"
    if isroutine(found):
        return f"the function {found.__name__}"
    return f"an object of the class {type(found).__name__}"
