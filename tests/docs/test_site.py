"""The site has every page and every public name."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from documents import DOCUMENTS, ROOT

REFERENCE = ROOT / "docs" / "reference"


def paths(nav: Any) -> Iterator[str]:
    """Every page that the navigation names."""
    match nav:
        case str():
            yield nav
        case list():
            yield from (path for part in nav for path in paths(part))
        case dict():
            yield from paths(list(nav.values()))


def test_the_navigation_names_every_page() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    named = [ROOT / path for path in paths(nav)]
    assert len(named) == len(set(named))
    assert all(path.is_file() for path in named)
    apart = {path for path in DOCUMENTS if path.name == "CHANGELOG.md"}
    apart |= set((ROOT / "docs" / "decisions").glob("0*.md"))  # their index names them
    assert set(DOCUMENTS) - apart <= set(named)


def resolved(name: str) -> Any:
    """The object of a dotted name."""
    module, parts = name, []
    while True:
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            parts.insert(0, last)
        else:
            for part in parts:
                found = getattr(found, part)
            return found


def documented() -> Iterator[Any]:
    """What the pages of the reference show: objects, and all that modules call public."""
    for page in REFERENCE.glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            found = resolved(name)
            if isinstance(found, ModuleType) and hasattr(found, "__all__"):
                yield from (getattr(found, public) for public in found.__all__)
            yield found


@pytest.mark.parametrize("package", ["nas_core", "nas_core.nn", "nas_search", "nas_engine_graph"])
def test_the_reference_has_every_public_name(package: str) -> None:
    module = importlib.import_module(package)
    there = [id(found) for found in documented()]
    missing = [
        name
        for name in module.__all__
        if not (name == "__version__" or hasattr(torch.nn, name))  # described by torch
        and id(getattr(module, name)) not in there
    ]
    assert missing == []
