"""Names of Python objects in configuration files and on the command line."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from nas_core.errors import nearest
from nas_core.failure import Failed, attempt, failure_text

from nas_search.errors import PlacedError

__all__ = ["TargetError", "called", "load_target", "made"]


class TargetError(PlacedError, ImportError):
    """What a target names can't be loaded."""


def load_target(target: str, folder: str | Path = ".") -> Any:
    """The object that ``module:attribute`` or ``file.py:attribute`` names.

    Args:
        target: the name; attributes may be nested (``module:Class.attribute``). A file in a
            package, whose folder has an ``__init__.py``, is imported as the module that it is.
        folder: what a file is relative to; modules are looked for there first, as Python does for
            the modules beside a script.

    >>> load_target("math:pi")
    3.141592653589793
    >>> load_target("math:pie")
    Traceback (most recent call last):
    nas_search.target.TargetError: target 'math:pie': math has no 'pie'; did you mean 'pi'?

    Raises:
        TargetError: it is malformed, there is no such file, module or attribute, or importing it
            fails.
    """
    where, colon, attribute = target.rpartition(":")
    if not colon or not where or not attribute:
        raise TargetError(
            f"target {target!r} is neither 'module:attribute' nor 'path/to/file.py:attribute'"
        )
    import numpy  # noqa: F401  # Torch would do it where a Ctrl-C meanwhile is lost.

    folder = Path(folder).absolute()
    if where.endswith(".py"):
        found: Any = _file(target, folder / where)
    else:
        found = _module(target, where, folder)
    for name in attribute.split("."):
        if not hasattr(found, name):
            public = [known for known in dir(found) if not known.startswith("_")]
            raise TargetError(
                f"target {target!r}: {getattr(found, '__name__', where)} has no {name!r}"
                f"{nearest(name, public)}"
            )
        found = getattr(found, name)
    return found


def made(found: Any) -> Any:
    """The object itself; a class or function that needs no arguments is called first.

    >>> made(dict), made(3)
    ({}, 3)
    """
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        return found
    try:
        inspect.signature(found).bind()
    except TypeError:
        if inspect.isclass(found):
            name = found.__qualname__
            raise TargetError(
                f"{name} can't be made without arguments: name an instance, or a function "
                f"without arguments that makes one"
            ) from None
        return found
    except ValueError:  # some builtins have no signature
        pass
    return found()


def called(target: str, found: Any, options: Mapping[str, Any]) -> Any:
    """What a class or function that a target names makes of options; any other object itself.

    >>> called("builtins:dict", dict, {"a": 1}), called("math:pi", 3.14, {})
    ({'a': 1}, 3.14)
    >>> called("builtins:callable", callable, {"depth": 1})
    Traceback (most recent call last):
    nas_search.target.TargetError: target 'builtins:callable' can't be called with depth=1: \
missing a required argument: 'obj'

    Raises:
        TargetError: it does not take these options.
    """
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    if not callable(found):
        if options:
            raise TargetError(f"target {target!r} is an object, which takes no options: {given}")
        return found
    try:
        inspect.signature(found).bind(**options)
    except TypeError as error:
        how = f"with {given}" if given else "without arguments"
        raise TargetError(f"target {target!r} can't be called {how}: {error}") from None
    except ValueError:  # some builtins have no signature
        pass
    return found(**options)


def _module(target: str, name: str, folder: Path) -> ModuleType:
    _look_in(folder)
    imported = attempt(partial(importlib.import_module, name))
    if not isinstance(imported, Failed):
        return imported
    error = imported.error
    if isinstance(error, ModuleNotFoundError) and error.name and name.startswith(error.name):
        raise TargetError(
            f"target {target!r}: there is no module {error.name!r} (looked in {folder} and where "
            "packages are installed)"
        ) from None
    raise _broken(target, error)


def _file(target: str, path: Path) -> ModuleType:
    if not path.is_file():
        beside = [other.name for other in path.parent.glob("*.py")]
        raise TargetError(f"target {target!r}: there is no file {path}{nearest(path.name, beside)}")
    _look_in(path.parent)
    folder, name = _place_in_package(path)
    _look_in(folder)
    loaded = sys.modules.get(name)
    if loaded is None and path.stem.isidentifier():
        imported = attempt(partial(importlib.import_module, name))
        if isinstance(imported, Failed):
            raise _broken(target, imported.error)
        loaded = imported
    if loaded is not None and _same_file(loaded, path):
        return loaded
    return _under_another_name(target, path)


def _place_in_package(path: Path) -> tuple[Path, str]:
    """The folder in which Python finds a file, and the name by which it does."""
    folder, name = path.parent, path.stem
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        folder, name = folder.parent, f"{folder.name}.{name}"
    return folder, name.removesuffix(".__init__")


def _broken(target: str, error: BaseException) -> TargetError:
    """The error for a module that can't be imported, with that of the module as its cause."""
    message = f"target {target!r}: importing it raised {failure_text(error)}"
    if "no known parent package" in str(error):
        message += (
            "\nRelative imports work in packages: give the folder of the file an __init__.py, or "
            "name it as a module, such as 'package.module:name'"
        )
    broken = TargetError(message)
    broken.__cause__ = error
    return broken


def _under_another_name(target: str, path: Path) -> ModuleType:
    """Load a file whose own name belongs to another module; workers are sent its source."""
    name = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    result = attempt(partial(spec.loader.exec_module, module))
    if isinstance(result, Failed):
        del sys.modules[name]
        raise _broken(target, result.error)
    cloudpickle.register_pickle_by_value(module)
    return module


def _same_file(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).exists() and path.samefile(file)


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
