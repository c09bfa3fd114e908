"""The entry point of ``nas``: the group of all commands."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from types import FrameType

import click

from nas_cli import __version__
from nas_cli.command import NasGroup
from nas_cli.compare import bench_engines
from nas_cli.console import escape_what_is_not_encoded, open_standard_streams, printable
from nas_cli.dashboard import dashboard
from nas_cli.engines import list_engines
from nas_cli.environment import DISABLE_PLUGINS
from nas_cli.exit_codes import ExitCode
from nas_cli.experiments import list_experiments
from nas_cli.export import export
from nas_cli.graph import graph
from nas_cli.new_engine import new_engine
from nas_cli.plan import plan
from nas_cli.report import report
from nas_cli.run import resume, run
from nas_cli.space import space
from nas_cli.trials import show, top

__all__ = ["main", "nas"]

_EXAMPLES = (
    "nas space net.py:Net                        # what is there to choose?",
    "nas graph net.py:Net --output net.html      # what does a candidate look like?",
    "nas run search.toml --max-trials 20         # explore it",
    "nas top digits -k 3                         # the best architectures so far",
    "nas report digits --open                    # all about it, in the browser",
    "nas export digits --output best             # the best one with its weights",
)
_COMPLETION = (
    'bash   eval "$(_NAS_COMPLETE=bash_source nas)"',
    'zsh    eval "$(_NAS_COMPLETE=zsh_source nas)"',
    "fish   _NAS_COMPLETE=fish_source nas | source",
)
_ENVIRONMENT = (
    f"{DISABLE_PLUGINS}   names of plugins to leave out, separated by commas",
    "NO_COLOR              no colour (there is none without a terminal either)",
)


@click.group(
    cls=NasGroup,
    sections={
        "Examples": _EXAMPLES,
        "Exit codes": [f"{code.value:>3}  {code.meaning}" for code in ExitCode],
        "Environment": _ENVIRONMENT,
        "Shell completion": _COMPLETION,
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="nas")
def nas() -> None:
    """Explore spaces of PyTorch models and get the best ones out.

    Every command has its own --help with examples.
    """


_COMMANDS = (
    *(list_engines, space, graph, plan, bench_engines),
    *(run, resume, top, show, report, dashboard, export, list_experiments, new_engine),
)
for _command in _COMMANDS:
    nas.add_command(_command)


def main() -> None:
    """Run ``nas`` with the arguments of the process."""
    signal.signal(signal.SIGTERM, _interrupt)
    open_standard_streams()
    escape_what_is_not_encoded(sys.stdout, sys.stderr)
    warnings.showwarning = _show_warning
    # What the search logs, the commands show in their own words.
    logging.getLogger("nas_search").addHandler(logging.NullHandler())
    nas(prog_name="nas")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    *_file: object,
    **_line: object,
) -> None:
    text = printable(message)
    if f"{os.sep}nas_" not in filename:  # not ours: its place helps the user
        text = f"{filename}:{lineno}: {category.__name__}: {text}"
    click.echo(f"Warning: {text}", err=True)
