"""Errors: one message, the right exit code, and a traceback only with --debug."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from nas_cli.edge import NoExperimentError, explain
from nas_cli.exit_codes import ExitCode
from nas_cli.main import nas as nas_group
from nas_core.errors import (
    NasError,
    Place,
    PluginError,
    UnknownEngineError,
    UnsupportedFormatError,
    UnsupportedSpaceError,
)
from nas_core.protocols import Problem
from nas_search import ReplayError, StoreError


def raised(code: str, file: Path) -> BaseException:
    """What running a user's file raises."""
    file.write_text(code)
    with pytest.raises((Exception, SystemExit)) as caught:
        exec(compile(code, str(file), "exec"), {"__name__": "net"})
    return caught.value


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NasError("wrong"), ExitCode.BAD_INPUT),
        (NoExperimentError("none"), ExitCode.STATE),
        (StoreError("x.sqlite", "locked"), ExitCode.STATE),
        (ReplayError("other architectures"), ExitCode.STATE),
        (PermissionError(13, "Permission denied", "x.sqlite"), ExitCode.STATE),
        (sqlite3.OperationalError("disk I/O error"), ExitCode.STATE),
        (PluginError("broken"), ExitCode.ENGINE),
        (UnknownEngineError("grph", ["graph"]), ExitCode.ENGINE),
        (UnsupportedFormatError("no code"), ExitCode.ENGINE),
        (UnsupportedSpaceError(["loops"]), ExitCode.ENGINE),
        (UnsupportedSpaceError([Problem("undecorated", certain=True)]), ExitCode.BAD_INPUT),
        (ZeroDivisionError("division by zero"), ExitCode.BUG),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_every_kind_of_error_has_its_code(error: BaseException, code: ExitCode) -> None:
    failure = explain(error)
    assert failure.code is code
    assert str(error) in failure.message
    assert "Traceback" not in failure.message


def test_the_users_exception_is_shown_with_their_line(folder: Path) -> None:
    file = folder / "net.py"
    error = raised("def f(x):\n    return x['width']\n\nf({})\n", file)
    assert explain(error).message == f"Error: {file}:2: KeyError: 'width'"
    assert explain(error).code is ExitCode.BAD_INPUT


def test_the_users_line_is_the_innermost_of_theirs_not_of_torch(folder: Path) -> None:
    file = folder / "net.py"
    error = raised("import json\njson.loads('{')\n", file)
    assert explain(error).message.startswith(f"Error: {file}:2: json.decoder.JSONDecodeError: ")


def test_a_syntax_error_names_its_file(folder: Path) -> None:
    file = folder / "net.py"
    error = raised("x = 1\ndef f(:\n", file)
    assert explain(error).message == f"Error: {file}:2: SyntaxError: invalid syntax"


def test_an_import_error_names_the_line(folder: Path) -> None:
    file = folder / "net.py"
    error = raised("\nimport no_such_module\n", file)
    expected = f"Error: {file}:2: ModuleNotFoundError: No module named 'no_such_module'"
    assert explain(error).message == expected


def test_a_nas_error_below_the_users_code_gets_their_line(folder: Path) -> None:
    file = folder / "net.py"
    error = raised("from nas_core.errors import NasError\nraise NasError('bad label')\n", file)
    assert explain(error).message == f"Error: {file}:2: bad label"
    place = Place(str(file), 2)
    named = raised(
        f"from nas_core.errors import NasError\nraise NasError('bad at {place}')\n", file
    )
    assert explain(named).message == f"Error: bad at {place}"


def test_a_user_file_that_exits_is_not_silent(folder: Path) -> None:
    error = raised("raise SystemExit(0)\n", folder / "net.py")
    assert explain(error).message.endswith("net.py:1: SystemExit: 0")


def test_control_characters_in_a_message_are_shown_as_text() -> None:
    assert explain(NasError("bad \x1b[2J label")).message == r"Error: bad \x1b[2J label"


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """``nas list-engines`` fails inside, without a line of a user's file on the way."""
    monkeypatch.setattr("nas_cli.engines.engine_rows", partial(int, "x"))


def test_a_bug_asks_for_debug(nas: Any, bug: None) -> None:
    result = nas("list-engines")
    assert result.exit_code == ExitCode.BUG
    assert result.stderr.startswith("Error: nas failed unexpectedly: ValueError: invalid literal")
    assert "--debug" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("arguments", [("--debug", "list-engines"), ("list-engines", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(
    arguments: tuple[str, ...], nas: Any, bug: None
) -> None:
    result = nas(*arguments)
    assert result.exit_code == ExitCode.BUG
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stdout == ""


def test_an_unexpected_exit_is_no_success(nas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_cli.engines.engine_rows", partial(sys.exit, 0))
    assert nas("list-engines").exit_code == ExitCode.BUG


def test_usage_errors_are_click_s_own(nas: Any) -> None:
    result = nas("list-engines", "--jsn")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "No such option" in result.stderr
    assert "--json" in result.stderr


def test_a_misspelt_command_gets_the_nearest(nas: Any) -> None:
    result = nas("list-engine")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "did you mean 'list-engines'?" in result.stderr


def test_help_documents_every_exit_code(nas: Any) -> None:
    output = nas("--help").output
    for code in ExitCode:
        assert f"{code.value:>3}  {code.meaning}" in output


def test_the_readme_documents_every_exit_code() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"| {code.value} | {code.meaning} |" in readme


def test_every_command_has_help_with_examples_of_itself(nas: Any) -> None:
    for name, subcommand in nas_group.commands.items():
        output = nas(name, "--help").output
        assert subcommand.help
        examples = output.partition("Examples:\n")[2].splitlines()
        assert any(f"nas {name}" in line for line in examples), name
        assert "--debug" in output


def test_no_line_about_a_command_is_cut_off(nas: Any) -> None:
    commands = nas("--help").output.partition("Commands:")[2].partition("Examples:")[0]
    assert "..." not in commands


def test_every_example_in_a_help_can_be_parsed(nas: Any) -> None:
    for subcommand in nas_group.commands.values():
        for example in subcommand.examples:  # type: ignore[attr-defined]
            line = example.partition("#")[0].partition("|")[0].partition(">")[0]
            before, _, after = f" {line}".partition(" nas ")
            if not after:
                assert before.split()[0] in {"pip", "pytest"}
                continue
            command, *words = after.split()
            shown = nas_group.commands[command]
            shown.make_parser(click.Context(shown)).parse_args(words)


def test_the_version(nas: Any) -> None:
    assert nas("--version").output == "nas, version 0.1.0\n"


def test_the_help_needs_neither_torch_nor_the_search(folder: Path) -> None:
    code = (
        "import sys\n"
        "from nas_cli.main import nas\n"
        "nas(['run', '--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'nas_search', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


NAS = Path(sys.executable).with_name("nas")


def piped(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``nas`` with its output in a pipe."""
    return subprocess.run(
        f"{NAS} {command}",
        shell=True,
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


def test_a_closed_pipe_is_quiet(folder: Path) -> None:
    done = piped("--help | head -n 1", folder)
    assert done.stdout.startswith("Usage: nas")
    assert done.stderr == ""


def test_a_pipe_that_is_closed_below_a_table_is_quiet(search: Any, folder: Path) -> None:
    search()
    done = piped("space net.py:Net | true", folder)
    assert done.stderr == ""


def test_a_search_that_nobody_reads_ends_quietly_and_can_be_resumed(
    search: Any, folder: Path
) -> None:
    search()
    done = piped("run search.toml | true", folder)
    assert done.stderr == ""
    resumed = subprocess.run(
        [NAS, "resume", "sizes"], capture_output=True, text=True, cwd=folder, check=True
    )
    assert resumed.stdout.count("completed") == 3
    assert "[4/4]" in resumed.stdout


def test_what_a_stream_can_not_encode_is_escaped(shell: Any, search: Any, folder: Path) -> None:
    config = search()
    (folder / "net.py").write_text(
        (folder / "net.py").read_text().replace('"width"', '"gr\u00f6\u00dfe"'), encoding="utf-8"
    )
    done = shell("run", config, "--name", "ascii", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    for arguments in (("space", "net.py:Net"), ("top", "ascii"), ("show", "ascii", "0")):
        done = shell(*arguments, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr
        assert "gr\\xf6\\xdfe" in done.stdout
    assert "size \\u2193" in shell("top", "ascii", PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_take_nothing_and_the_store_is_not_written_into(
    search: Any, folder: Path, closed: str
) -> None:
    search(executor="local")
    for command in ("run search.toml", "top sizes", "list-engines", "space net.py:Net --json"):
        done = piped(f"{command} {closed}; echo $?", folder)
        assert done.stdout.splitlines()[-1:] == ["0"], done
        assert done.stderr == ""
    assert len(json.loads(piped("top sizes -k 9 --json", folder).stdout)) == 4
