"""What ``nas plan`` and ``nas bench-engines`` are about: a space, an evaluator, candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nas_cli.overrides import changed, set_option

if TYPE_CHECKING:
    import torch
    from nas_core import Candidate, Evaluator, Space
    from nas_search import ExperimentConfig

__all__ = ["Subject", "candidates", "load_subject", "subject_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Subject:
    """A model space and an evaluator, and the configuration that they are from."""

    model: torch.nn.Module
    evaluator: Evaluator
    config: ExperimentConfig

    @property
    def space(self) -> Space:
        """All choices, those of the evaluator too."""
        from nas_core import Space

        return Space.of(self.model, self.evaluator)


def subject_options(function: F) -> F:
    """TARGET and what says more about it, for a command."""
    for decorate in (
        click.option("--seed", type=int, default=0, show_default=True, help="Of the candidates."),
        set_option(
            "Change any key of the configuration, such as engine_options.memory=2GiB.",
        ),
        click.option(
            "--evaluator",
            metavar="TARGET",
            help="How candidates are trained and measured.  [default: that of CONFIG.toml]",
        ),
        click.argument("target", metavar="TARGET|CONFIG.toml"),
    ):
        function = decorate(function)
    return function


def load_subject(target: str, evaluator: str | None, overrides: Mapping[str, Any]) -> Subject:
    """Load what a command is about.

    Raises:
        click.UsageError: there is no evaluator, or an override is not accepted.
        NasError: the configuration or a target can't be loaded.
    """
    from nas_search import ExperimentConfig
    from nas_search.named import load_named
    from nas_search.target import load_target, made
    from nas_search.usable import require_evaluator

    here = str(Path.cwd())
    is_config = target.endswith(".toml")
    config = changed(
        ExperimentConfig.from_toml(target)
        if is_config
        else ExperimentConfig(model=target, root=here),
        overrides,
    )
    if config.model is None:
        example = 'model = "net.py:Net"'
        raise click.BadParameter(f"{target} names no model, as in {example}", param_hint="TARGET")
    if evaluator is None and config.evaluator is None:
        where = f"{target} names none" if is_config else "a TOML file would name one"
        raise click.UsageError(f"no evaluator: give --evaluator file.py:name ({where})")
    model = load_named(config, "model")
    if evaluator is None:
        measures = load_named(config, "evaluator")
    else:
        measures = made(load_target(evaluator, here))
        require_evaluator(measures)
    return Subject(model, measures, config)


def candidates(
    subject: Subject, given: Sequence[Mapping[str, Any]], count: int, seed: int
) -> list[Candidate]:
    """Candidates of given architectures, and of so many different random ones.

    Raises:
        InvalidArchitectureError: a given one is no point of the space.
    """
    from nas_core import Candidate
    from nas_search.strategies import RandomSearch
    from nas_search.usable import seed_of

    space = subject.space
    chosen = [space.validate(architecture) for architecture in given]
    search = RandomSearch(seed)
    search.start(space, ("maximize",))
    chosen += search.propose(count)
    return [Candidate(i, each, seed_of(seed, i)) for i, each in enumerate(chosen)]
