"""``nas space``: what there is to choose in a model space, before anything is trained."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from nas_core.wording import architecture_text, value_text

from nas_cli.command import command
from nas_cli.console import console, print_json, print_table, printable, results_only, table

if TYPE_CHECKING:
    from nas_core import Space
    from nas_core.choice import Choice

__all__ = ["load_space", "space"]

_COUNTING_STEPS = 1_000_000
_FURTHER = "choose decides in more ways than were tried: there may be further choices"
_OPTIONS_SHOWN = 12


@command(
    "space",
    short_help="Show what there is to choose in a model space.",
    examples=(
        "nas space net.py:Net                 # a class that can be called without arguments",
        "nas space mypackage.models:net       # a model, or a function that returns one",
        "nas space search.toml                # its model, with the choices of its evaluator",
        "nas space net.py:Net --sample 3 --seed 7",
        "nas space net.py:Net --json | jq .size",
    ),
)
@click.argument("target", metavar="TARGET|CONFIG.toml")
@click.option(
    "--sample",
    "n_samples",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="How many random architectures to show.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random architectures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def space(target: str, n_samples: int, seed: int, as_json: bool) -> None:
    """Show the model space TARGET: its choices, their conditions, its size, a sample.

    TARGET is path/to/file.py:name or module:name, where name is a model, a class, or a function
    that returns a model. Of a TOML file, as for `nas run`, it is all that a search of it explores.
    """
    with results_only(as_json):
        _, found = load_space(target)
        described = describe(found, target, n_samples, seed)
    if as_json:
        print_json(described)
    else:
        _print(found, described)


def load_space(target: str) -> tuple[Any, Space]:
    """What the target names, made if it is a class or a function, and its space.

    That of a configuration holds the choices of its evaluator as well.
    """
    from nas_search.target import load_target, made

    if target.endswith(".toml"):
        return _configured(target)
    part = made(load_target(target, Path.cwd()))
    import torch  # what is loaded has it already
    from nas_core import Space

    found = Space.of(part)
    if not found.choices and not isinstance(part, (torch.nn.Module, Space)):
        raise click.BadParameter(
            f"{target!r} is a {type(part).__name__} without choices; name a model, a class, or a "
            "function without arguments that returns a model",
            param_hint="TARGET",
        )
    return part, found


def _configured(path: str) -> tuple[Any, Space]:
    from nas_search import ExperimentConfig
    from nas_search.named import load_named

    config = ExperimentConfig.from_toml(path)
    if config.model is None:
        example = 'model = "net.py:Net"'
        raise click.BadParameter(f"{path} names no model, as in {example}", param_hint="TARGET")
    model = load_named(config, "model")
    others = [load_named(config, "evaluator")] if config.evaluator is not None else []
    from nas_core import Space

    return model, Space.of(model, *others)


def describe(found: Space, target: str, n_samples: int, seed: int) -> dict[str, Any]:
    """Everything about the space as JSON values."""
    generator = random.Random(seed)
    return {
        "target": target,
        "digest": found.digest,
        "size": _size(found),
        "complete": found.complete,
        "choices": [_choice(found, choice) for choice in found.choices.values()],
        "constraints": [constraint.name for constraint in found.constraints if constraint.shown],
        "samples": [dict(found.sample(rng=generator)) for _ in range(n_samples)],
    }


def _size(found: Space) -> int | None:
    from nas_core.errors import SpaceTooLargeError

    try:
        # Where a constructor runs for each step, the default is far less.
        return found.size(limit=_COUNTING_STEPS if found.complete else None)
    except SpaceTooLargeError:
        return None


def _choice(found: Space, choice: Choice) -> dict[str, Any]:
    known = found.conditions.get(choice.label)
    return {
        "label": choice.label,
        "kind": choice.kind,
        "options": choice.domain.describe(),
        "n_options": choice.domain.size,
        "conditions": None if known is None else [dict(condition) for condition in known],
        "place": str(choice.place),
    }


def _print(found: Space, described: dict[str, Any]) -> None:
    out = console()
    size = described["size"]
    counted = "too large to count" if size is None else f"{size:,}"
    out.print(f"architectures: {counted}")
    out.print(f"choices:       {len(described['choices'])}\n")
    rows = table("label", "kind", "options", "active")
    for choice in found.choices.values():
        rows.add_row(
            printable(choice.label),
            choice.kind,
            _options_text(choice),
            condition_text(found, choice.label),
        )
    if found.choices:
        print_table(out, rows)
    if not found.complete:
        out.print(f"\n{_FURTHER}")
    for name in described["constraints"]:
        out.print(f"\nwhere {printable(name)}")
    for sample in described["samples"]:
        out.print(f"\nsample: {architecture_text(sample)}")


def _options_text(choice: Choice) -> str:
    options = choice.domain.describe()
    if not isinstance(options, list):
        return printable(choice.domain)
    shown = " | ".join(value_text(option) for option in options[:_OPTIONS_SHOWN])
    more = len(options) - _OPTIONS_SHOWN
    return f"{shown} | ... {more} more" if more > 0 else shown


def condition_text(found: Space, label: str) -> str:
    """When a choice is active, in a few words; ``?`` if there are too many ways to tell."""
    if label not in found.conditions:
        return "?"
    return (
        " or ".join(
            " and ".join(
                f"{printable(other)} = {'|'.join(value_text(value) for value in values)}"
                for other, values in condition.items()
            )
            for condition in found.conditions[label]
        )
        or "always"
    )
