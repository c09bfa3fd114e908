"""``nas graph``: the graph of one candidate of a space, as text, source or a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from nas_core.errors import nearest

from nas_cli.command import command
from nas_cli.environment import plugins
from nas_cli.files import is_standard_output, write_output
from nas_cli.space import load_space

if TYPE_CHECKING:
    import torch
    from nas_core import Architecture, Space
    from nas_core.choice import Choice
    from nas_core.plugins import Plugins
    from nas_core.protocols import Draws

__all__ = ["graph"]

_FORMATS = ("text", "source", "dot", "svg", "html")
_SUFFIXES = {".txt": "text", ".py": "source", ".dot": "dot", ".gv": "dot", ".svg": "svg",
             ".html": "html", ".htm": "html"}  # fmt: skip
_SHAPE = re.compile(r"(?P<sizes>\d+([,x]\d+)*)?(:(?P<dtype>\w+))?")


@command(
    "graph",
    short_help="Show the graph of a candidate.",
    examples=(
        "nas graph net.py:Net                            # the default architecture as text",
        "nas graph net.py:Net --input 1,3,32,32          # with shapes and FLOPs",
        "nas graph net.py:Net --output net.html          # a picture for the browser",
        "nas graph net.py:Net --arch '{\"width\": 32}' --format source",
        "nas graph net.py:Net --arch @best/trial-1.json --format svg --output best.svg",
        "nas graph search.toml --arch @best/trial-1.json",
        "nas graph bert.py:Net --input 1,128:int64 --input 1,128:bool",
    ),
)
@click.argument("target", metavar="TARGET|CONFIG.toml")
@click.option(
    "--arch",
    "given",
    metavar="JSON|@FILE",
    help="The architecture, as JSON or in a file; what it leaves out has its first option.",
)
@click.option(
    "--format",
    "formatter",
    type=click.Choice(_FORMATS),
    help="What to show.  [default: what the name of --output ends with, or text]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="The file to write.  [default: -, standard output]",
)
@click.option(
    "--input",
    "shapes",
    metavar="SHAPE[:DTYPE]",
    multiple=True,
    help="An input of the model, such as 1,3,32,32 or 1,128:int64: shapes are shown. Repeatable.",
)
@click.option("--engine", "name", help="The engine that shows it.  [default: the first that can]")
def graph(
    target: str,
    given: str | None,
    formatter: str | None,
    output: Path | None,
    shapes: tuple[str, ...],
    name: str | None,
) -> None:
    """Show the graph of a candidate of the model space TARGET.

    text is the graph with its labels, source the generated Python, dot the language of Graphviz,
    svg and html are pictures that need nothing else to be shown. Layers that come from a choice
    are marked with its label, and coloured. A file is written whole or not at all.

    TARGET is path/to/file.py:name or module:name, as for nas space; a TOML file names the model,
    and knows which choices of an architecture are the evaluator's.
    """
    formatter = formatter or _format_of(output)
    decisions = {} if given is None else _decisions(given)
    engine = _engine(plugins(), name)
    inputs = tuple(map(_tensor, shapes))
    model, space = _model(target)
    _require_known(target, space, decisions)
    architecture = _completed(model, space, decisions)
    drawn = engine.draw(model, architecture, formatter, inputs)
    if output is None or is_standard_output(output):
        click.echo(drawn)
        return
    write_output(output, f"{drawn.rstrip()}\n")


def _format_of(output: Path | None) -> str:
    suffix = "" if output is None else output.suffix.lower()
    if suffix and suffix not in _SUFFIXES:
        raise click.BadParameter(
            f"nothing is known of {suffix!r}: give --format, or a name that ends with "
            f"{', '.join(_SUFFIXES)}",
            param_hint="--output",
        )
    return _SUFFIXES.get(suffix, "text")


def _engine(found: Plugins, name: str | None) -> Draws:
    """The engine that was asked for, or the first by name that shows graphs."""
    from nas_core.errors import PluginError

    able = [n for n, r in sorted(found.engines.items()) if "graph" in r.info.capabilities]
    if name is not None and name in found.engines and name not in able:
        raise PluginError(
            f"the engine {name!r} shows no graphs (engines that do: {', '.join(able) or 'none'})"
        )
    if name is None and not able:
        installed = ", ".join(sorted(found.engines)) or "none"
        raise PluginError(
            f"no installed engine shows graphs (installed: {installed}): "
            "`pip install 'nas-engine-graph[draw]'` brings one"
        )
    return cast("Draws", found.engine(able[0] if name is None else name))


def _model(target: str) -> tuple[torch.nn.Module, Space]:
    import torch

    part, space = load_space(target)
    if not isinstance(part, torch.nn.Module):
        raise click.BadParameter(
            f"{target!r} is a {type(part).__name__}: only models have graphs", param_hint="TARGET"
        )
    return part, space


def _require_known(target: str, space: Space, decisions: dict[str, Any]) -> None:
    """Say, where only the model is known, that a configuration knows more labels."""
    unknown = [label for label in decisions if label not in space.labels]
    if unknown and space.complete and not target.endswith(".toml"):
        raise click.BadParameter(
            f"unknown label {unknown[0]!r}{nearest(unknown[0], space.labels)}; if it is the "
            "evaluator's, name the TOML file in the place of the target",
            param_hint="--arch",
        )


def _completed(model: torch.nn.Module, space: Space, decisions: dict[str, Any]) -> Architecture:
    """The model's architecture with these decisions, and the first option of what they leave open.

    What they decide of the evaluator is looked at, and left out.
    """

    from nas_core import Space

    def decide(choice: Choice) -> Any:
        value = decisions.get(choice.label)
        known = choice.label in decisions and choice.domain.contains(value)
        return choice.domain.find(value) if known else choice.domain.default

    whole = space.validate({**space.trace(decide), **decisions})
    return Space.of(model).part_of(whole)


def _decisions(given: str) -> dict[str, Any]:
    where = "--arch"
    if given.startswith("@"):
        where = given[1:]
        try:
            given = Path(where).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise click.BadParameter(
                f"{where!r} can't be read: {reason}", param_hint="--arch"
            ) from error
    try:
        found = json.loads(given)
    except ValueError as error:
        example = 'an object such as {"width": 32}, or @FILE'
        raise click.BadParameter(
            f"{where} is not JSON ({error}): it takes {example}", param_hint="--arch"
        ) from error
    if not isinstance(found, dict):
        raise click.BadParameter(
            f"{where} is a JSON {type(found).__name__}, not an object from labels to values",
            param_hint="--arch",
        )
    return found


def _tensor(shape: str) -> torch.Tensor:
    import torch

    match = _SHAPE.fullmatch(shape)
    if match is None:
        raise click.BadParameter(
            f"{shape!r} is no shape: sizes with commas between them, and a dtype if it is not "
            "float32, such as 1,3,32,32 or 1,128:int64",
            param_hint="--input",
        )
    dtypes = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
    dtype = match["dtype"] or "float32"
    if dtype not in dtypes:
        raise click.BadParameter(
            f"torch has no dtype {dtype!r}{nearest(dtype, dtypes)}", param_hint="--input"
        )
    sizes = [int(size) for size in re.split("[,x]", match["sizes"] or "") if size]
    return torch.empty(sizes, dtype=dtypes[dtype], device="meta")
