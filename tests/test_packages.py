"""Each package is complete on its own, and the lists that name the packages name all of them."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))


def every_package() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)


def project(package: Path) -> dict[str, Any]:
    return tomllib.loads((package / "pyproject.toml").read_text())["project"]


def source(package: Path) -> Path:
    return package / "src" / package.name.replace("-", "_")


def version(package: Path) -> str:
    """Read the version as hatchling does: without importing the package."""
    for node in ast.parse((source(package) / "__init__.py").read_text()).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="__version__")], value=ast.Constant(value=str(text))
            ):
                return text
    raise AssertionError(f"{package.name} states no __version__")


def constraints() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {Requirement(line).name.lower() for line in lines if not line.startswith("#")}


@every_package()
def test_a_package_has_all_its_parts(package: Path) -> None:
    for part in ("README.md", "CHANGELOG.md", "LICENSE", "tests"):
        assert (package / part).exists(), part
    assert (source(package) / "py.typed").read_text() == ""


@every_package()
def test_the_licence_is_the_one_of_the_project(package: Path) -> None:
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (project(package)["license"], project(package)["license-files"]) == ("MIT", ["LICENSE"])


@every_package()
def test_the_changelog_begins_with_the_version(package: Path) -> None:
    headings = re.findall(r"^## (\S+)", (package / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert Version(headings[0]) == Version(version(package))


@every_package()
def test_the_metadata_says_what_and_for_whom(package: Path) -> None:
    stated = project(package)
    assert stated["name"] == package.name
    assert stated["requires-python"] == ">=3.11"
    assert stated["readme"] == "README.md"
    assert stated["dynamic"] == ["version"]
    assert stated["description"].endswith(".")
    assert "Typing :: Typed" in stated["classifiers"]


@every_package()
def test_every_need_has_a_floor_and_a_pin(package: Path) -> None:
    stated = project(package)
    extras = stated.get("optional-dependencies", {}).values()
    for need in map(
        Requirement, [*stated["dependencies"], *(x for extra in extras for x in extra)]
    ):
        assert any(specifier.operator == ">=" for specifier in need.specifier), str(need)
        assert need.name.lower() in constraints() | {path.name for path in PACKAGES}, str(need)


def test_the_requirements_name_every_package() -> None:
    named = re.findall(r"^-e packages/(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert sorted(named) == [path.name for path in PACKAGES]


def test_continuous_integration_runs_what_the_readme_says() -> None:
    command = re.search(r"^pip install .*\bnox$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert command is not None
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == command[0]
    assert "bash .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
