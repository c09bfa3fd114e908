"""Which package imports which, read from the sources; and that listing engines needs no torch."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PACKAGES = Path(__file__).parents[1] / "packages"

MAY_IMPORT = {
    "nas_core": set(),
    "nas_engine_py": {"nas_core"},
    "nas_engine_graph": {"nas_core"},
    "nas_engine_cgo": {"nas_core", "nas_engine_graph", "nas_search"},
    "nas_search": {"nas_core"},
    "nas_cli": {"nas_core", "nas_search"},
}
SOURCES = {path.name: path for path in sorted(PACKAGES.glob("*/src/nas_*"))}


def imported(source: str) -> Iterator[str]:
    """Name every module that the code imports, wherever in it, also by `import_module("...")`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module
            case ast.Call(
                func=ast.Attribute(attr="import_module")
                | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module


def siblings(folder: Path) -> set[str]:
    """Tell which of our packages the files of a folder import."""
    modules = {name for path in folder.rglob("*.py") for name in imported(path.read_text())}
    return {name.partition(".")[0] for name in modules} & MAY_IMPORT.keys()


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
import a.b
if True:
    from c import d
def f():
    import e as f
    importlib.import_module("g.h"); import_module("i"); __import__("j")
"""
    assert set(imported(source)) == {"a.b", "c", "e", "g.h", "i", "j"}


def test_every_package_has_its_arrows() -> None:
    assert SOURCES.keys() <= MAY_IMPORT.keys()


@pytest.mark.parametrize("package", SOURCES)
def test_imports_follow_the_arrows(package: str) -> None:
    assert siblings(SOURCES[package]) <= MAY_IMPORT[package] | {package}


@pytest.mark.parametrize("package", SOURCES)
def test_what_is_imported_is_declared(package: str) -> None:
    project = tomllib.loads((SOURCES[package].parents[1] / "pyproject.toml").read_text())["project"]
    declared = {Requirement(need).name.replace("-", "_") for need in project["dependencies"]}
    assert siblings(SOURCES[package]) - {package} == declared & MAY_IMPORT.keys()


@pytest.mark.parametrize(
    "code",
    [
        "import nas_core",
        "import nas_core; nas_core.engines()",
        "import nas_cli.main",
        "from nas_cli.main import nas; nas(['list-engines'], standalone_mode=False)",
    ],
)
def test_torch_is_not_imported_before_it_is_needed(code: str) -> None:
    code += "; import sys; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
