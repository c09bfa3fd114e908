"""Where a configuration file says what is wrong with its strategy."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_core.errors import Place

from nas_search.config import ExperimentConfig
from nas_search.strategies import StrategyError

__all__ = ["located"]


@contextmanager
def located(config: ExperimentConfig) -> Iterator[None]:
    """Let what is wrong with the strategy say the line of the file, if it is from one."""
    try:
        yield
    except StrategyError as error:
        options = [
            x for x in config.strategy.options if re.search(rf"\b{re.escape(x)}\b", error.message)
        ]
        place = _strategy_line(config, options[0] if options else "name")
        raise StrategyError(error.message, place) from None


def _strategy_line(config: ExperimentConfig, key: str) -> Place | None:
    """Where the file says this of the strategy, unless it has been said elsewhere since."""
    try:
        text = Path(config.file).read_text(encoding="utf-8")
        said = tomllib.loads(text).get("strategy", {})
    except (OSError, ValueError):
        return None
    said = {**said, **said.get("options", {})}
    now = {**config.strategy.options, "name": config.strategy.name}
    if key not in said or said[key] != now[key]:
        return None
    inside, first = False, None
    for number, line in enumerate(text.splitlines(), 1):
        here = re.match(r"""\s*\[*\s*["']?strategy\b""", line) is not None
        inside = here or (inside and not line.lstrip().startswith("["))
        first = number if here and first is None else first
        if inside and re.search(rf"""(?<![\w-])["']?{re.escape(key)}["']?\s*=""", line):
            return Place(config.file, number)
    return Place(config.file, first or 1)
