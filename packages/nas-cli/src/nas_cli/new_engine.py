"""``nas new-engine``: a working distribution with an execution engine, to begin one's own with.

``template/`` is such a distribution, linted and typed like all code here, with ``stencil`` for the
name of the engine. What is written is a copy of it under another name.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from nas_cli.command import command
from nas_cli.console import printable
from nas_cli.environment import plugins

__all__ = ["new_engine"]

_PREFIX = "nas-engine-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RULE = "lower-case letters and digits, a letter first, words joined by '-'"


def _engine_name(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    """The name of an engine that is not there yet, from it or from that of its distribution."""
    name = text.removeprefix(_PREFIX)
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{printable(text)!r} can't name an engine: {_RULE}{_near(name)}")
    if owner := _owner(name):
        raise click.BadParameter(f"there is an engine {name!r} already: {owner} brings it")
    return name


def _near(name: str) -> str:
    """Propose the name that was probably meant.

    >>> _near("My_Engine 2"), _near("42")
    ("; did you mean 'my-engine-2'?", '')
    """
    near = "-".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789-")
    return f"; did you mean {near!r}?" if near else ""


def _owner(name: str) -> str | None:
    """The distribution whose engine, or whose broken or disabled plugin, has this name."""
    found = plugins()
    return {
        **{plugin.name: plugin.distribution for plugin in found.broken},
        **{plugin.name: plugin.distribution for plugin in found.disabled},
        **{engine: record.distribution for engine, record in found.engines.items()},
    }.get(name)


@command(
    "new-engine",
    short_help="Write a distribution with an engine of your own.",
    examples=(
        "nas new-engine mine                    # into nas-engine-mine",
        "nas new-engine mine --output ~/engines/mine",
        "pip install -e nas-engine-mine pytest",
        "nas list-engines                       # it is there,",
        "pytest nas-engine-mine                 # keeps the contract of all engines,",
        "nas run search.toml --set execution_engine=mine",
    ),
)
@click.argument("name", callback=_engine_name)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The folder to write, which must not be there yet.  [default: ./nas-engine-NAME]",
)
def new_engine(name: str, output: Path | None) -> None:
    """Write a distribution with an execution engine called NAME, which works as it is.

    It has the plugin, a complete engine of one page, and tests that inherit the contract of all
    engines. It is written whole or not at all.
    """
    target = output or Path(f"{_PREFIX}{name}")
    if target.exists() or target.is_symlink():
        raise click.BadParameter(
            f"{printable(target)!r} is there already; --output names another folder",
            param_hint="--output",
        )
    for path in _written(target, _words(name)):
        click.echo(printable(path))
    click.echo(f"\nTo try it: pip install -e {shlex.quote(str(target))} && nas list-engines")


def _words(name: str) -> dict[str, str]:
    """What each name in the template becomes.

    >>> list(_words("tpu-pod").values())
    ['nas-engine-tpu-pod', 'nas_engine_tpu_pod', 'TpuPod', 'tpu-pod']
    """
    return {
        "nas-engine-stencil": f"{_PREFIX}{name}",
        "nas_engine_stencil": f"{_PREFIX}{name}".replace("-", "_"),
        "Stencil": "".join(word.capitalize() for word in name.split("-")),
        "stencil": name,
    }


def _written(target: Path, words: Mapping[str, str]) -> list[Path]:
    """Write a copy of the template, all of it at once, and answer its files."""
    copied = dict(_files(files("nas_cli") / "template", words))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        whole = Path(folder, target.name)
        for path, text in copied.items():
            (whole / path).parent.mkdir(parents=True, exist_ok=True)
            (whole / path).write_text(text, encoding="utf-8")
        whole.rename(target)
    return [target / path for path in copied]


def _files(
    template: Traversable, words: Mapping[str, str], below: Path = Path()
) -> Iterator[tuple[Path, str]]:
    """The files of the template, paths and texts, under other names."""
    for entry in sorted(template.iterdir(), key=lambda entry: entry.name):
        path = below / _renamed(entry.name, words)
        if not entry.is_dir():
            yield path, _renamed(entry.read_text(encoding="utf-8"), words)
        elif entry.name != "__pycache__":
            yield from _files(entry, words, path)


def _renamed(text: str, words: Mapping[str, str]) -> str:
    return re.sub("|".join(words), lambda match: words[match[0]], text)
