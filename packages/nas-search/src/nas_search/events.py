"""Tell observers what happens; one that raises is not told any more."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial

from nas_core.failure import Failed, attempt, failure_text

__all__ = ["Events"]


class Events:
    """Calls the methods of ``nas_core.hookspecs`` that an observer has.

    >>> class Printer:
    ...     def nas_trial_started(self, experiment, number, architecture):
    ...         print(experiment, number)
    >>> Events([Printer()]).tell("nas_trial_started", experiment="x", number=0, architecture={})
    x 0
    """

    def __init__(self, observers: Sequence[object]) -> None:
        self._observers = list(observers)

    def tell(self, event: str, **arguments: object) -> None:
        """Call a method in every observer that has it."""
        for observer in tuple(self._observers):
            method = getattr(observer, event, None)
            if method is None:
                continue
            outcome = attempt(partial(method, **arguments))
            if isinstance(outcome, Failed):
                self._observers.remove(observer)
                warnings.warn(
                    f"the observer {type(observer).__name__} raised in {event} and is not told "
                    f"any more: {failure_text(outcome.error)}",
                    RuntimeWarning,
                    stacklevel=2,
                )
