"""What a running constructor is told: whether its choices stay open, or what they are fixed to.

A constructor runs in a *session*. In an ``Open`` session the choices stay open and only
``choose`` is answered; in a ``Fixed`` session every choice takes its value from an architecture.
Both number the choices in the order of their creation, so that a choice without a label is
recognised when the constructor runs again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from nas_core.architecture import Value
from nas_core.choice import Choice, Key
from nas_core.errors import OpenChoiceError

__all__ = ["SESSION", "Fixed", "Open", "Session", "current", "relative", "running", "take_key"]

T = TypeVar("T")

SESSION: ContextVar[Session | None] = ContextVar("nas_core_session", default=None)
"""Where the session is kept, for those who ask so often that a call of ``current`` counts."""


class Session:
    """Numbers what is created while one constructor runs.

    Attributes:
        scope: what the keys begin with.
        next: what the next one ends with.
    """

    def __init__(self) -> None:
        self.scope: Key = ()
        self.next = 0

    def take_key(self) -> Key:
        key = (*self.scope, self.next)
        self.next += 1
        return key

    def within(self, scope: Key, make: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Number from zero while this is called: what it creates shifts nothing outside."""
        outer = self.scope, self.next
        self.scope, self.next = scope, 0
        try:
            return make(*args, **kwargs)
        finally:
            self.scope, self.next = outer


class Open(Session):
    """Choices stay open; ``choose`` is answered by ``decide``, or by the first option.

    Attributes:
        chosen: label → choice and value, once for each label.
        asked: the labels in the order of the questions, repeated ones included.
    """

    def __init__(self, decide: Callable[[Choice], Value] | None = None) -> None:
        super().__init__()
        self._decide = decide
        self.chosen: dict[str, tuple[Choice, Value]] = {}
        self.asked: list[str] = []

    def choose(self, choice: Choice) -> Value:
        if choice.label not in self.chosen:
            value = choice.domain.default if self._decide is None else self._decide(choice)
            self.chosen[choice.label] = choice, value
        self.asked.append(choice.label)
        return self.chosen[choice.label][1]


class Fixed(Session):
    """Choices take the values of an architecture."""

    def __init__(self, values: Mapping[str, Value], labels: Mapping[Key, str]) -> None:
        super().__init__()
        self.values = values
        self._labels = labels

    def value(self, choice: Choice) -> Value:
        """The value of a choice; its default if the architecture has none since it is inactive."""
        if not choice.label and choice.key is not None:
            choice.label = self._labels.get(choice.key, "")
        if choice.label in self.values:
            return choice.domain.find(self.values[choice.label])
        if not choice.label and choice.key is None:
            raise OpenChoiceError(
                f"{choice} was created outside of the model's __init__ and has no label, so that "
                "it can't be told which choice of the architecture it is: give it a label"
            )
        return choice.domain.default

    def next_value(self, label: str | None, default: Value) -> tuple[str, Value]:
        """The label and the value of the choice that is being created, with or without a label."""
        if label:
            self.next += 1
        else:
            label = self._labels.get(self.take_key(), "")
        return label, self.values.get(label, default)

    def drop(self, *modules: object) -> None:
        """A choice does not use these modules."""


def current() -> Session | None:
    """The session of the constructor that is running, if any."""
    return SESSION.get()


class running:  # noqa: N801  Used like a function; a generator takes ten times as long.
    """Let constructors in this block run in the session."""

    __slots__ = ("_session", "_token")

    def __init__(self, session: Session | None) -> None:
        self._session = session

    def __enter__(self) -> None:
        self._token = SESSION.set(self._session)

    def __exit__(self, *raised: object) -> None:
        SESSION.reset(self._token)


def take_key() -> Key | None:
    """The ordinal of what is being created, or None outside of constructors."""
    session = SESSION.get()
    return None if session is None else session.take_key()


def relative(key: Key, start: Key) -> Key | None:
    """The key as seen by the constructor that began at ``start``; None if it is not of its run.

    >>> relative((4, 0, 2), start=(3,))
    (1, 0, 2)
    """
    depth = len(start) - 1
    if len(key) <= depth or key[:depth] != start[:depth] or key[depth] < start[depth]:
        return None
    return (key[depth] - start[depth], *key[depth + 1 :])
