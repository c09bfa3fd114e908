"""The kind of command that ``nas`` is made of: examples in every help, ``--debug`` anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from nas_cli.edge import Failure, explain

__all__ = ["NasCommand", "NasGroup", "command"]

_DEBUG = "nas_cli.debug"


def _remember_debug(ctx: click.Context, _option: click.Parameter, debug: bool) -> None:
    if debug:
        ctx.meta[_DEBUG] = True  # click shares meta between a command and its group


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_remember_debug,
        help="Show the traceback of an error.",
    )


class NasCommand(click.Command):
    """A command with ``--debug`` and an Examples section in its help."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params.append(_debug_option())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        write_lines(formatter, "Examples", self.examples)
        super().format_epilog(ctx, formatter)


class NasGroup(click.Group):
    """The group of all commands, and the edge where every error becomes a message and a code."""

    command_class = NasCommand

    def __init__(self, *args: Any, sections: dict[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.params.append(_debug_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a user needs them."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with the nearest name."""
        from nas_core.errors import nearest

        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(
                f"No such command {name!r}{nearest(name, self.commands)} "
                f"(commands: {', '.join(self.commands)})"
            )
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections below the commands."""
        for title, lines in self.sections.items():
            write_lines(formatter, title, lines)
        super().format_epilog(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what it raises into one message and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, BrokenPipeError):
            raise  # click shows usage errors and ends quietly on a closed pipe
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001  the edge
            if isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError):
                raise error.__context__ from None  # Rich turns a closed pipe into an exit
            if ctx.meta.get(_DEBUG):
                import traceback

                click.echo(traceback.format_exc(), err=True, nl=False)
            _fail(ctx, explain(error))


def _fail(ctx: click.Context, failure: Failure) -> None:
    click.echo(failure.message, err=True)
    ctx.exit(failure.code)


def write_lines(formatter: click.HelpFormatter, title: str, lines: Sequence[str]) -> None:
    """A help section of lines that are not wrapped, so that they can be copied."""
    if lines:
        with formatter.section(title):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def command(
    name: str, *, examples: Sequence[str], short_help: str | None = None
) -> Callable[[Callable[..., Any]], NasCommand]:
    """Make a function a command of ``nas``; its docstring is the help.

    ``short_help`` stands in the list of all commands, where the first sentence is too long.
    """
    return click.command(name, cls=NasCommand, examples=examples, short_help=short_help)
