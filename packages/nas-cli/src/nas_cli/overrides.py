"""``--set key=value``: changes to a configuration from the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from nas_core.errors import nearest

if TYPE_CHECKING:
    from nas_search import ExperimentConfig

__all__ = ["changed", "parse_overrides", "set_option"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = {
    "execution_engine": "engine_options",
    "executor": "executor_options",
    "pruner": "pruner_options",
}
_SECTIONS = (*_OPTIONS.values(), "objectives", "observer_options", "strategy")


def set_option(words: str) -> Callable[[F], F]:
    """The option ``--set``; the command gets what it says as ``overrides``."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        callback=parse_overrides,
        help=words,
    )


def parse_overrides(
    _ctx: click.Context | None, _param: click.Parameter | None, settings: tuple[str, ...]
) -> dict[str, Any]:
    """Dotted keys and their values; a value is TOML, or text as it stands.

    >>> parse_overrides(None, None, ("max_trials=5", "strategy.name=grid"))
    {'max_trials': 5, 'strategy.name': 'grid'}

    Raises:
        click.BadParameter: one is not of the form key=value.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not all(part.strip() for part in key.split(".")):
            raise click.BadParameter(
                f"{setting!r} is not of the form key=value, such as seed=1 or strategy.name=grid"
            )
        found[key] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # "1\nother = 2" would be more than a value.
    return document["value"] if len(document) == 1 else text


def changed(
    config: ExperimentConfig, overrides: Mapping[str, Any], hint: str | None = "'--set'"
) -> ExperimentConfig:
    """The configuration with other values for some dotted keys; ``hint`` is what gave them.

    Another ``strategy.name`` drops the options that the file gives to its own strategy, so does
    another engine, executor or pruner.

    Raises:
        click.BadParameter: a key or a value is not accepted.
    """
    import msgspec
    from nas_search import ConfigError, ExperimentConfig
    from nas_search.config import in_words

    if not overrides:
        return config
    values = msgspec.to_builtins(config)
    if overrides.get("strategy.name", config.strategy.name) != config.strategy.name:
        values["strategy"]["options"] = {}
    for name, options in _OPTIONS.items():
        if overrides.get(name, values[name]) != values[name]:
            values[options] = {}
    for key, value in overrides.items():
        _put(values, key, value)
    try:
        return msgspec.convert(values, ExperimentConfig)
    except (msgspec.ValidationError, ConfigError) as error:
        raise click.BadParameter(in_words(error), param_hint=hint) from None


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    name, dot, inner = key.partition(".")
    known = [field for field in values if field not in ("root", "file")]
    if name not in known or (dot and name not in _SECTIONS):
        raise click.BadParameter(
            f"unknown key {key!r}{nearest(key, known)} (there are: {', '.join(known)})",
            param_hint="'--set'",
        )
    if not dot:
        values[name] = {"name": value} if name == "strategy" else value
    elif name == "strategy" and inner != "name":
        values[name]["options"][inner.removeprefix("options.")] = value
    elif name == "observer_options" and "." in inner:
        observer, _, option = inner.partition(".")
        values[name].setdefault(observer, {})[option] = value
    else:
        values[name][inner] = value
