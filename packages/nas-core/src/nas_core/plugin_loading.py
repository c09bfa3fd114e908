"""Import one plugin and check that it keeps to the rules; what it raises is left to the caller."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any, NoReturn

import pluggy

from nas_core import hookspecs
from nas_core.errors import PluginError, nearest
from nas_core.failure import Failed, attempt, failure_text
from nas_core.observers import hook_names
from nas_core.protocols import CAPABILITIES, EngineInfo

__all__ = ["Installed", "Loaded", "installed", "load", "normal", "order", "reason_of", "title"]

GROUP = "nas"
_SECTION = re.compile(rf"^\s*\[\s*{GROUP}\s*\]", re.MULTILINE)


@dataclass(frozen=True)
class Installed:
    """An entry point of our group, before anything of it is imported."""

    name: str
    distribution: str
    version: str
    load: Callable[[], Any]

    @property
    def names(self) -> frozenset[str]:
        """By which it may be disabled."""
        return frozenset((normal(self.name), normal(self.distribution)))


def installed() -> Iterator[Installed]:
    """The plugins of all distributions on the path; nothing of them is imported yet."""
    seen: set[str] = set()
    for distribution in metadata.distributions():
        # Not metadata.entry_points(): one unreadable file there would hide all plugins.
        text = attempt(partial(distribution.read_text, "entry_points.txt"))
        if not isinstance(text, str) or not _SECTION.search(text):
            continue
        identity = attempt(partial(_identity, distribution))
        name, version = ("unknown", "unknown") if isinstance(identity, Failed) else identity
        if normal(name) in seen - {"unknown"}:  # Shadowed by another copy earlier on the path.
            continue
        seen.add(normal(name))
        yield from _entries(name, version, distribution)


def _identity(distribution: metadata.Distribution) -> tuple[str, str]:
    known = distribution.metadata
    # Python 3.11 has None here for what is missing, later versions raise.
    return str(known["Name"] or "unknown"), str(known["Version"] or "unknown")


def _entries(name: str, version: str, source: metadata.Distribution) -> Iterator[Installed]:
    entries = attempt(lambda: [entry for entry in source.entry_points if entry.group == GROUP])
    if isinstance(entries, Failed):
        reason = f"its entry_points.txt can't be read: {failure_text(entries.error)}"
        yield Installed(name, name, version, partial(_refuse, reason))
        return
    for entry in entries:
        yield Installed(entry.name, name, version, partial(_import, entry))


class _RefusedError(PluginError):
    """A plugin does not keep to the rules; the message is the whole reason."""


def _refuse(reason: str) -> NoReturn:
    raise _RefusedError(reason)


def _import(entry: metadata.EntryPoint) -> Any:
    if entry.pattern.match(entry.value) is None:
        _refuse(f"its entry point {entry.value!r} is neither 'module' nor 'module:object'")
    return entry.load()


@dataclass(frozen=True)
class Loaded:
    """A plugin that is in order: its hooks and its engines."""

    manager: pluggy.PluginManager
    infos: tuple[EngineInfo, ...]


def load(found: Installed, taken: Mapping[str, str], reserved: frozenset[str]) -> Loaded:
    """Import a plugin and check it; raises whatever it raises.

    Args:
        found: the plugin.
        taken: engine name → title of the plugin that has it.
        reserved: distributions that are loaded, too. One that is called ``nas-engine-x`` owns the
            engine name ``x``, in whatever order they are found.
    """
    plugin = found.load()
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    _check_spelling(plugin)
    manager.register(plugin, found.name)
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        _refuse(
            f"it implements no hook: a plugin has functions decorated with @nas_core.hookimpl "
            f"({', '.join(hook_names())})"
        )
    infos = tuple(_engine_infos(manager))
    _check_names(infos, taken, reserved - {normal(found.distribution)})
    return Loaded(manager, infos)


def reason_of(error: BaseException) -> str:
    """Why a plugin is broken, from what ``load`` raised."""
    return str(error) if isinstance(error, _RefusedError) else failure_text(error)


def _check_spelling(plugin: object) -> None:
    """Name what pluggy ignores or refuses without help: almost a hook, or one not decorated."""
    known = tuple(hook_names())
    for name in dir(plugin):
        value = getattr(plugin, name, None)
        if not (name.startswith("nas_") and callable(value)):
            continue
        options = getattr(value, f"{hookspecs.PROJECT}_impl", None)
        if name not in known and (options or nearest(name, known)):
            _refuse(f"no hook is called {name!r}{nearest(name, known)} (hooks: {', '.join(known)})")
        if name in known and options is None:
            _refuse(f"{name} lacks the decorator @nas_core.hookimpl")
        if name in known:
            _check_arguments(name, value)


def _check_arguments(name: str, hook: Callable[..., Any]) -> None:
    given = inspect.signature(getattr(hookspecs, name)).parameters
    for argument, parameter in inspect.signature(hook).parameters.items():
        if argument not in given and parameter.default is parameter.empty:
            _refuse(
                f"{name} is given no {argument!r}{nearest(argument, given)} "
                f"(it is given: {', '.join(given) or 'nothing'})"
            )


def _engine_infos(manager: pluggy.PluginManager) -> Iterator[EngineInfo]:
    if not manager.hook.nas_engines.get_hookimpls():
        return
    answers = manager.hook.nas_engines()
    if not answers:
        _refuse("nas_engines returned nothing: it must return or yield EngineInfo records")
    for answer in answers:
        if not isinstance(answer, Iterable) or isinstance(answer, (str, bytes)):
            _refuse(
                f"nas_engines returned {answer!r:.80}: it must return or yield EngineInfo records"
            )
        for info in answer:
            if not isinstance(info, EngineInfo):
                _refuse(f"nas_engines gave {info!r:.80}, which is no EngineInfo")
            _check_info(info)
            yield info


def _check_info(info: EngineInfo) -> None:
    if not re.fullmatch(r"[\w.-]+", str(info.name)):
        _refuse(
            f"EngineInfo.name must be a word of letters, digits, '-', '_', '.', not {info.name!r}"
        )
    if not isinstance(info.summary, str):
        _refuse(f"EngineInfo.summary of {info.name!r} must be a string, not {info.summary!r:.80}")
    if not isinstance(info.capabilities, frozenset):
        _refuse(
            f"EngineInfo.capabilities of {info.name!r} must be a frozenset, "
            f"not {info.capabilities!r:.80}"
        )
    for word in info.capabilities:
        if word not in CAPABILITIES:
            _refuse(
                f"{word!r} is no capability{nearest(str(word), CAPABILITIES)} "
                f"(capabilities: {', '.join(CAPABILITIES)})"
            )
    if not callable(info.load):
        _refuse(f"EngineInfo.load of {info.name!r} must be a function, not {info.load!r:.80}")


def _check_names(
    infos: tuple[EngineInfo, ...], taken: Mapping[str, str], others: frozenset[str]
) -> None:
    own: set[str] = set()
    for info in infos:
        if info.name in own:
            _refuse(f"it brings two engines named {info.name!r}")
        if (owner := normal(f"nas-engine-{info.name}")) in others:
            _refuse(f"the engine name {info.name!r} belongs to {owner}, which is installed")
        if info.name in taken:
            _refuse(f"the engine name {info.name!r} is already taken by {taken[info.name]}")
        own.add(info.name)


def title(plugin: str, distribution: str, version: str) -> str:
    """How messages name a plugin."""
    return f"plugin {plugin!r} ({distribution} {version})"


def normal(name: str) -> str:
    """The name as distributions are compared: ``Nas_Engine.py`` is ``nas-engine-py``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def order(found: Installed) -> tuple[str, str]:
    """Sorts plugins by distribution: of two that bring one engine, the first wins."""
    return normal(found.distribution), found.name
