"""What a configuration names, and where its file says so."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_core.errors import Place

from nas_search.config import ExperimentConfig
from nas_search.target import TargetError, load_target, made
from nas_search.toml_lines import line_of

__all__ = ["load_named", "said_place"]


def load_named(config: ExperimentConfig, key: str) -> Any:
    """The model or the evaluator of a configuration, made if its target is a class or function.

    Raises:
        TargetError: it can't be loaded; it says the line of the file, if the name is from one.
    """
    target = getattr(config, key)
    try:
        return made(load_target(target, config.root))
    except TargetError as error:
        place = said_place(config, key, key, {key: target})
        raise TargetError(error.message, place) from error.__cause__


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
