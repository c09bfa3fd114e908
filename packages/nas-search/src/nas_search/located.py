"""Where a configuration file says what is wrong with its strategy or its pruner."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas_core.errors import Place

from nas_search.config import ExperimentConfig
from nas_search.pruning import PrunerError
from nas_search.strategies import StrategyError
from nas_search.toml_lines import line_of

__all__ = ["located"]


@contextmanager
def located(config: ExperimentConfig) -> Iterator[None]:
    """Let what is wrong with the strategy or the pruner say the line of the file, if from one."""
    try:
        yield
    except StrategyError as error:
        key = _meant(error.message, config.strategy.options) or "name"
        now = {**config.strategy.options, "name": config.strategy.name}
        raise StrategyError(error.message, _place(config, "strategy", key, now)) from None
    except PrunerError as error:
        option = _meant(error.message, config.pruner_options)
        if option is None:
            place = _place(config, "pruner", "pruner", {"pruner": config.pruner})
        else:
            place = _place(config, "pruner_options", option, config.pruner_options)
        raise PrunerError(error.message, place) from None


def _meant(message: str, options: Mapping[str, Any]) -> str | None:
    """The option that a message is about."""
    return next((x for x in options if re.search(rf"\b{re.escape(x)}\b", message)), None)


def _place(config: ExperimentConfig, table: str, key: str, now: Mapping[str, Any]) -> Place | None:
    """Where the file says this in a table, unless it has been said elsewhere since."""
    try:
        text = Path(config.file).read_text(encoding="utf-8")
        said = tomllib.loads(text).get(table, {})
    except (OSError, ValueError):
        return None
    path = [table]
    if not isinstance(said, dict):  # a key at the top
        said, path = {table: said}, []
    elif isinstance(options := said.get("options"), dict) and key in options:
        said, path = options, [table, "options"]
    if key not in said or said[key] != now[key]:
        return None
    return Place(config.file, line_of(text, *path, key))
