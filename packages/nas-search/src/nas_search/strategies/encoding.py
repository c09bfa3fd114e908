"""How a choice is put to an Optuna trial: as categorical parameters whose options are JSON text."""

import json
from collections.abc import Iterator, Sequence
from typing import Protocol

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice, Subset

MANY = 256
"""So many subsets of an ``InputChoice`` may be the options of one parameter."""


class Trial(Protocol):
    """The one method of an Optuna trial that is needed here."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:
        """Give one of the choices."""


def suggest(trial: Trial, choice: Choice) -> Value:
    """Let a trial decide a choice.

    JSON text keeps ``1``, ``1.0`` and ``True`` apart and can spell a subset. A choice with more
    than ``MANY`` subsets becomes one parameter per candidate (in or out), or one per place when
    their number is fixed.
    """
    domain = choice.domain
    if not _is_large(choice):
        options = [canonical(option) for option in domain.options()]
        return json.loads(trial.suggest_categorical(choice.label, options))
    assert isinstance(domain, Subset)
    if domain.n_chosen is None:
        answers = [
            trial.suggest_categorical(name, ["false", "true"]) for name in _names(choice, domain.n)
        ]
        return [i for i, answer in enumerate(answers) if answer == "true"] or domain.default
    chosen: set[int] = set()
    for name in _names(choice, domain.n_chosen):
        index = int(trial.suggest_categorical(name, [str(i) for i in range(domain.n)]))
        while index in chosen:
            index = (index + 1) % domain.n
        chosen.add(index)
    return sorted(chosen)


def parameters(choice: Choice, value: Value) -> dict[str, str]:
    """Give the parameters under which ``suggest`` decides this value."""
    domain = choice.domain
    if not _is_large(choice):
        return {choice.label: canonical(value)}
    assert isinstance(domain, Subset)
    if domain.n_chosen is None:
        return {name: canonical(i in value) for i, name in enumerate(_names(choice, domain.n))}
    return dict(zip(_names(choice, domain.n_chosen), map(str, value), strict=True))


def _is_large(choice: Choice) -> bool:
    return isinstance(choice.domain, Subset) and choice.domain.size > MANY


def _names(choice: Choice, count: int) -> Iterator[str]:
    return (f"{choice.label}[{i}]" for i in range(count))
