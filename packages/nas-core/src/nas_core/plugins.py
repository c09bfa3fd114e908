"""Find the installed plugins and load each on its own, so that a broken one hurts only itself.

No plugin sees another: each has a plugin manager of its own. Engines are listed without being
loaded, and nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

import pluggy

from nas_core.errors import EngineOptionError, PluginError, UnknownEngineError
from nas_core.failure import Failed, attempt, failure_text
from nas_core.observers import Observers
from nas_core.plugin_loading import Installed, installed, load, normal, order, reason_of, title
from nas_core.protocols import (
    CAPABILITY_METHODS,
    ENGINE_METHODS,
    Configurable,
    Engine,
    EngineInfo,
)

__all__ = [
    "BrokenPlugin",
    "DisabledPlugin",
    "EngineRecord",
    "Plugins",
    "engine",
    "engines",
    "load_plugins",
]


@dataclass(frozen=True)
class EngineRecord:
    """An engine that can be used, and where it comes from.

    Attributes:
        info: what its plugin says of it.
        distribution: the installed distribution that brings it.
        version: that of the distribution.
        plugin: the name of the entry point.
    """

    info: EngineInfo
    distribution: str
    version: str
    plugin: str


@dataclass(frozen=True)
class DisabledPlugin:
    """A plugin that was not loaded, since the caller said so."""

    name: str
    distribution: str
    version: str


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that can't be used, and why; nothing of it is used.

    >>> print(BrokenPlugin("board", "nas-board", "1.2", "ImportError: no board"))
    plugin 'board' (nas-board 1.2) is broken: ImportError: no board
    """

    name: str
    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"{title(self.name, self.distribution, self.version)} is broken: {self.reason}"


@dataclass(frozen=True)
class Plugins:
    """What is installed: engines by name, broken and disabled plugins, and the observers.

    ``strangers`` are in words the names to be disabled that are only like one that is there.
    """

    engines: Mapping[str, EngineRecord]
    broken: tuple[BrokenPlugin, ...]
    disabled: tuple[DisabledPlugin, ...]
    observers: Observers
    strangers: tuple[str, ...] = ()

    def engine(self, name: str, /, **options: Any) -> Engine:
        """Load an engine, and give it options that it has.

        Raises:
            UnknownEngineError: none has this name.
            PluginError: its plugin is broken or disabled, or the engine can't be loaded.
            EngineOptionError: it has no such option, or does not accept its value.
        """
        made = self._loaded(name)
        if not options:
            return made
        if not isinstance(made, Configurable):
            raise EngineOptionError(name, next(iter(options)))
        return made.configured(**options)

    def _loaded(self, name: str) -> Engine:
        if (record := self.engines.get(name)) is None:
            raise self._why_not(name)
        where = f"engine {name!r} of {title(record.plugin, record.distribution, record.version)}"
        made = attempt(record.info.load)
        if isinstance(made, Failed):
            reason = failure_text(made.error)
            raise PluginError(f"{where} can't be loaded: {reason}") from made.error
        if isinstance(made, type):
            raise PluginError(
                f"{where}: its load() returned the class {made.__name__}, not an engine: "
                f"return {made.__name__}()"
            )
        optional = (m for c, m in CAPABILITY_METHODS.items() if c in record.info.capabilities)
        needed = (*ENGINE_METHODS, *optional)
        if lacking := [x for x in needed if not callable(getattr(made, x, None))]:
            raise PluginError(
                f"{where}: its load() returned a {type(made).__name__}, which is no engine: "
                f"it has no method {', '.join(lacking)}"
            )
        return made

    def _why_not(self, name: str) -> PluginError | UnknownEngineError:
        for broken in self.broken:
            if broken.name == name:
                return PluginError(f"engine {name!r}: {broken}")
        for disabled in self.disabled:
            if disabled.name == name:
                where = title(name, disabled.distribution, disabled.version)
                return PluginError(f"engine {name!r}: {where} is disabled")
        return UnknownEngineError(name, sorted(self.engines))


def engines() -> Mapping[str, EngineRecord]:
    """The installed engines by name."""
    return load_plugins().engines


def engine(name: str, /, **options: Any) -> Engine:
    """Load an installed engine: ``engine("cgo", cluster_size=8)``.

    Raises:
        UnknownEngineError: none has this name.
        PluginError: its plugin is broken, or the engine can't be loaded.
        EngineOptionError: it has no such option, or does not accept its value.
    """
    return load_plugins().engine(name, **options)


def load_plugins(disabled: Collection[str] = ()) -> Plugins:
    """Import every plugin of the entry-point group ``nas``, in the order of their distributions.

    Of two that bring an engine ``x``, that of the distribution ``nas-engine-x`` has it, else the
    first; the other plugin is broken.

    Args:
        disabled: names of entry points or of distributions that are not to be imported.

    >>> load_plugins(disabled=["no-such-plugin"]).disabled
    ()
    """
    unwanted = set(map(normal, disabled))
    there = sorted(installed(), key=order)
    wanted = [found for found in there if not unwanted & found.names]
    skipped = [found for found in there if unwanted & found.names]
    engines: dict[str, EngineRecord] = {}
    taken: dict[str, str] = {}
    broken: list[BrokenPlugin] = []
    managers: list[tuple[str, pluggy.PluginManager]] = []
    reserved = frozenset(normal(found.distribution) for found in wanted)
    for found in wanted:
        source = (found.name, found.distribution, found.version)
        loaded = attempt(partial(load, found, taken, reserved))
        if isinstance(loaded, Failed):
            broken.append(BrokenPlugin(*source, reason_of(loaded.error)))
            continue
        managers.append((title(*source), loaded.manager))
        for info in loaded.infos:
            engines[info.name] = EngineRecord(info, *source[1:], plugin=found.name)
            taken[info.name] = title(*source)
    return Plugins(
        engines=engines,
        broken=tuple(broken),
        disabled=tuple(DisabledPlugin(x.name, x.distribution, x.version) for x in skipped),
        observers=Observers(tuple(managers)),
        strangers=tuple(_strangers(disabled, there)),
    )


def _strangers(disabled: Collection[str], there: Sequence[Installed]) -> Iterator[str]:
    """Names that are like one that is there; the others may be there on another machine."""
    known = {normal(name): name for found in there for name in (found.name, found.distribution)}
    for name in disabled:
        if (wanted := normal(name)) in known:
            continue
        # With it each engine's distribution would be like all others.
        prefix = _PREFIX if wanted.startswith(_PREFIX) else ""
        short = {each.removeprefix(prefix): own for each, own in known.items()}
        for near in get_close_matches(wanted.removeprefix(prefix), short, 1, _ALIKE):
            yield f"no plugin or distribution is called {name!r}; did you mean {short[near]!r}?"


_PREFIX = "nas-engine-"
_ALIKE = 0.75
