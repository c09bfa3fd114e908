"""Where a configuration file says what is wrong with its strategy or its pruner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nas_search.config import ExperimentConfig
from nas_search.named import said_place
from nas_search.pruning import PrunerError
from nas_search.strategies import StrategyError
from nas_search.target import TargetError

__all__ = ["located"]


@contextmanager
def located(config: ExperimentConfig) -> Iterator[None]:
    """Let what is wrong with strategy or pruner say the line of the file, if from one."""
    try:
        yield
    except (StrategyError, TargetError) as error:
        key = _meant(error.message, config.strategy.options) or "name"
        now = {**config.strategy.options, "name": config.strategy.name}
        place = said_place(config, "strategy", key, now)
        raise type(error)(error.message, place) from error.__cause__
    except PrunerError as error:
        option = _meant(error.message, config.pruner_options)
        if option is None:
            place = said_place(config, "pruner", "pruner", {"pruner": config.pruner})
        else:
            place = said_place(config, "pruner_options", option, config.pruner_options)
        raise PrunerError(error.message, place) from None


def _meant(message: str, options: Mapping[str, Any]) -> str | None:
    """The option that a message is about."""
    return next((x for x in options if re.search(rf"\b{re.escape(x)}\b", message)), None)
