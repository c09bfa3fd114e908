"""What a configuration names, and where its file says so."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_core import Engine
from nas_core.errors import EngineOptionError, Place, UnknownEngineError
from nas_core.plugins import Plugins

from nas_search.config import ConfigError, ExperimentConfig
from nas_search.errors import PlacedError
from nas_search.target import load_target, made
from nas_search.toml_lines import line_of
from nas_search.usable import require_evaluator, require_model

__all__ = ["load_engine", "load_named", "said_place"]


_REQUIRE = {"model": require_model, "evaluator": require_evaluator}


def load_named(config: ExperimentConfig, key: str) -> Any:
    """The model or the evaluator of a configuration, made if its target is a class or function.

    Raises:
        PlacedError: it can't be loaded, or is none; says the line of the file, if named there.
    """
    target = getattr(config, key)
    try:
        found = made(load_target(target, config.root))
        _REQUIRE[key](found)
    except PlacedError as error:
        place = said_place(config, key, key, {key: target})
        raise type(error)(error.message, place) from error.__cause__
    return found


def load_engine(config: ExperimentConfig, plugins: Plugins, name: str | None = None) -> Engine:
    """The engine of a configuration, or that of this name, with the options of the configuration.

    Raises:
        UnknownEngineError: none has this name.
        PluginError: its plugin is broken or disabled, or the engine can't be loaded.
        ConfigError: the file gives it an option that it does not have or accept.
        EngineOptionError: what does so is no file.
    """
    name, options = name or config.execution_engine, config.engine_options
    try:
        return plugins.engine(name, **options)
    except UnknownEngineError as error:
        key = "execution_engine"
        raise UnknownEngineError(
            name, error.known, said_place(config, key, key, {key: name})
        ) from None
    except EngineOptionError as error:
        if (place := said_place(config, "engine_options", error.option, options)) is None:
            raise
        raise ConfigError(str(error), place) from error


def said_place(
    config: ExperimentConfig, table: str, key: str, now: Mapping[str, Any]
) -> Place | None:
    """Where the file says this in a table, unless it has been said elsewhere since."""
    try:
        text = Path(config.file).read_text(encoding="utf-8")
        said = tomllib.loads(text).get(table, {})
    except (OSError, ValueError):
        return None
    path = [table]
    if not isinstance(said, dict):  # a key at the top, or a strategy without options
        now, said, key, path = {table: now[key]}, {table: said}, table, []
    elif isinstance(options := said.get("options"), dict) and key in options:
        said, path = options, [table, "options"]
    if key not in said or said[key] != now[key]:
        return None
    return Place(config.file, line_of(text, *path, key))
