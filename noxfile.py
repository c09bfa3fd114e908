"""What a change must pass: `nox` runs it all, `nox -s core` one part, `nox --list` names them."""

import os
import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import TemporaryDirectory

import nox
from nox.project import dependency_groups, load_toml
from packaging.requirements import Requirement

nox.options.default_venv_backend = "uv|virtualenv"  # uv links torch, where pip copies it
nox.options.reuse_venv = "yes"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # torch takes seconds to compile: once is enough

ROOT = Path(__file__).parent
TOOLS = load_toml(ROOT / "pyproject.toml")
PACKAGES = {
    path.parent.name: load_toml(path) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
PAGES = (  # of the site, in the folders in which they lie, so that links lead on
    *("*.md", "benchmarks/*.md", "docs/**/*.md", "docs/**/*.svg", "docs/site.css"),
    *("examples/**/*.md", "packages/*/*.md"),
)
EVERYTHING = ROOT / ".nox" / "everything" / "bin"  # torch is large: four sessions share this one
UV = {  # what it calls the settings of pip that say where packages are
    "cert": "SSL_CERT_FILE",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
}
SPREAD = ("--numprocesses=auto", "--dist=worksteal")  # a test process for each core,
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # with one thread of torch


def needs(package: str) -> tuple[str, ...]:
    """Tell what the package, its extras and its tests declare that they need."""
    project = PACKAGES[package]["project"]
    extras = chain(*project.get("optional-dependencies", {}).values())
    return *project["dependencies"], *extras, *dependency_groups(PACKAGES[package], "test")


def needs_outside(package: str) -> Iterator[str]:
    """Tell what it needs of others, those extras included that it needs of our own packages."""
    for need in needs(package):
        if not is_ours(need):
            yield need
            continue
        wanted = Requirement(need)
        brings = PACKAGES[wanted.name]["project"].get("optional-dependencies", {})
        yield from chain(*(brings[extra] for extra in wanted.extras))


def is_ours(need: str) -> bool:
    """Tell whether a need is met by a package of this repository."""
    return Requirement(need).name in PACKAGES


def siblings(package: str) -> set[str]:
    """Tell which packages of this repository must be there for it, itself among them."""
    direct = {Requirement(need).name for need in needs(package) if is_ours(need)}
    return {package}.union(*map(siblings, direct))


@cache
def where_pip_looks() -> dict[str, str]:
    """Tell uv, which does not read pip's configuration, where that says packages are."""
    command = (sys.executable, "-m", "pip", "config", "list")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    told = {}
    for line in done.stdout.splitlines():  # such as global.find-links='/wheels https://host/wheels'
        name, _, value = line.partition("=")
        if variable := UV.get(name.rpartition(".")[2]):
            between = "," if variable == "UV_FIND_LINKS" else " "
            told[variable] = between.join(literal_eval(value).split())
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **told, **os.environ}  # pip's strategy


def install(session: nox.Session, *arguments: str) -> None:
    """Install with uv, or pip without it, and compile nothing now that may never be imported."""
    session.install("--no-compile", *arguments, env=where_pip_looks())


def install_editable(session: nox.Session, packages: set[str], *others: str) -> None:
    """Install packages with what their tests need, in one command so that they find each other."""
    around = set().union(*map(siblings, packages))
    paths = [word for name in sorted(around) for word in ("-e", f"packages/{name}")]
    outside = set().union(*map(needs_outside, packages))
    install(session, *paths, *sorted(outside), *others)


def add_test_session(package: str) -> None:
    """Add the session that tests one package beside nothing but what it declares."""

    @nox.session(name=package.removeprefix("nas-").replace("-", "_"))
    def test(session: nox.Session) -> None:
        tools = dependency_groups(TOOLS, "spread")
        install_editable(session, {package}, "-c", "constraints.txt", *tools)
        session.run("pytest", f"packages/{package}", *SPREAD, *session.posargs, env=ONE_THREAD)

    test.__doc__ = f"Test {package} alone."


@nox.session
def everything(session: nox.Session) -> None:
    """Install all packages and tools, for the sessions across packages."""
    tools = dependency_groups(TOOLS, "integration", "lint", "spread")
    install_editable(session, set(PACKAGES), "-c", "constraints.txt", *tools)


@nox.session(venv_backend="none", requires=["everything"])
def lint(session: nox.Session) -> None:
    """Check style, format and types of every package."""
    session.run(EVERYTHING / "ruff", "check")
    session.run(EVERYTHING / "ruff", "format", "--check")
    session.run(EVERYTHING / "mypy")


for name in PACKAGES:
    add_test_session(name)


@nox.session(venv_backend="none", requires=["everything"])
def integration(session: nox.Session) -> None:
    """Test the packages together."""
    across = ("tests", "--ignore=tests/docs", *SPREAD)
    session.run(EVERYTHING / "pytest", *across, *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none", requires=["everything"])
def docs(session: nox.Session) -> None:
    """Run every code block of the README and docs, and follow their links."""
    session.run(EVERYTHING / "pytest", "tests/docs", *SPREAD, *session.posargs, env=ONE_THREAD)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation site in build/site; a link or a name that leads nowhere fails it."""
    install(session, "-c", "constraints.txt", *dependency_groups(TOOLS, "site"))
    pages = ROOT / "build" / "pages"
    rmtree(pages, ignore_errors=True)
    for path in chain.from_iterable(map(ROOT.glob, PAGES)):
        target = pages / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        copyfile(path, target)
    session.run("python", "-m", "doctest", "docs/reference/docstrings.py")
    session.run("zensical", "build", "--strict", "--clean")


@nox.session(venv_backend="none", requires=["everything"])
def demo(session: nox.Session) -> None:
    """Explore examples/digits with the installed command, and write out the best model."""
    nas, digits = EVERYTHING / "nas", ROOT / "examples" / "digits"
    with TemporaryDirectory() as folder, session.chdir(folder):
        session.run(nas, "run", digits / "digits.toml")
        session.run(nas, "top", "digits")
        session.run(nas, "export", "digits", "--output", "best")
        session.run(EVERYTHING / "python", digits / "evaluate.py", "nas-experiments/digits")


@nox.session
def build(session: nox.Session) -> None:
    """Build each package, and use wheels, then sdists, where nothing else is installed."""
    install(session, "-c", "constraints.txt", *dependency_groups(TOOLS, "build"))
    where, pins = where_pip_looks(), ("-b", "constraints.txt")
    with TemporaryDirectory() as folder:
        dist, clean = Path(folder, "dist"), Path(folder, "clean")
        for package in PACKAGES:
            to = ("--quiet", "--out-dir", dist, *pins)
            session.run("uv", "build", f"packages/{package}", *to, env=where)
        session.run("uv", "venv", "--quiet", clean)
        into = ("--quiet", "--python", clean, "-c", "constraints.txt", *pins)
        for kind in ("*.whl", "*.tar.gz"):
            session.run("uv", "pip", "install", *into, "pytest", *dist.glob(kind), env=where)
            session.run(clean / "bin" / "pytest", "tests/test_installed.py", external=True)


@nox.session(default=False)
def corpus(session: nox.Session) -> None:
    """Convert the models of torchvision and timm, and print what became of each."""
    groups = PACKAGES["nas-engine-graph"]
    beside = dependency_groups(groups, "corpus")
    install_editable(session, {"nas-engine-graph"}, "-c", "constraints.txt", *beside)
    # Not what they need: that is another build of torch.
    models = dependency_groups(groups, "models")
    install(session, "--no-deps", "-c", "constraints.txt", *models)
    session.run("python", "packages/nas-engine-graph/scripts/corpus.py", *session.posargs)


@nox.session(default=False)
def floors(session: nox.Session) -> None:
    """Test every package with the oldest versions that it says it works with."""
    declared = {need for name in PACKAGES for need in needs(name) if not is_ours(need)}
    install_editable(session, set(PACKAGES), *(need.replace(">=", "==") for need in declared))
    session.run("pytest", "packages", *session.posargs)
