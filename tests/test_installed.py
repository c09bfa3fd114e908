"""What is installed, be it from the sources or from the wheels, is what was promised."""

import importlib
import json
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, entry_points
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_distribution_brings_its_package(package: str) -> None:
    installed, name = distribution(package), package.replace("-", "_")
    assert installed.version == importlib.import_module(name).__version__
    assert installed.metadata["Requires-Python"] == ">=3.11"
    assert installed.read_text("licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert files(name).joinpath("py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_its_public_names_are_there(package: str) -> None:
    module = importlib.import_module(package.replace("-", "_"))
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), name


def test_the_command_lists_every_engine() -> None:
    command = [Path(sys.executable).with_name("nas"), "list-engines", "--json"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ready = {engine["name"] for engine in json.loads(listed) if engine["state"] == "ready"}
    projects = [
        tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
        for package in PACKAGES
    ]
    declared = {name for each in projects for name in each.get("entry-points", {}).get("nas", {})}
    assert declared <= {entry.name for entry in entry_points(group="nas")}
    assert declared <= ready
