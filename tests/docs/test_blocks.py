"""Every Python block of the documents runs, and every `nas` command in them.

The blocks of a document share names, as if typed one after the other. A block with a title,
```` ```toml title="search.toml" ````, is a file for the commands and blocks after it. A figure is
what the commands of its document have drawn. What a `console` block shows below a command, and a
`text` or `py` block right below commands, is what they print: the same words, beside numbers and
values, which differ from run to run.
"""

import doctest
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Commands, started
from documents import DOCUMENTS, ROOT, Block, blocks

# The examples take minutes: the demo session does what their documents say.
READ = [document for document in DOCUMENTS if ROOT / "examples" not in document.parents]


class Reader:
    """Does with a document what its reader would do, in an empty folder."""

    def __init__(self, document: Path, commands: Commands) -> None:
        self.document = document
        self.commands = commands
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        self.last: Block | None = None

    def python(self, block: Block) -> None:
        """Run a block so that its errors name the line in the document."""
        if block.code.startswith(">>>"):
            parts = str(self.document), block.line
            examples = doctest.DocTestParser().get_doctest(block.code, self.names, "block", *parts)
            doctest.DebugRunner(optionflags=doctest.ELLIPSIS).run(examples, clear_globs=False)
        else:
            code = compile("\n" * block.line + block.code, self.document, "exec")
            exec(code, self.names)

    def shell(self, block: Block) -> None:
        """Run the lines that call our command."""
        self.printed = ""
        for line in block.code.splitlines():
            program, *arguments = shlex.split(line.removeprefix("$ "), comments=True) or [""]
            if program == "nas":
                code, printed = self.commands.run(arguments)
                assert code == 0, f"{line}\n{printed}"
                self.printed += printed

    def console(self, block: Block) -> None:
        """Run each command, and compare what is shown below it."""
        for part in re.split(r"(?m)^(?=\$ )", block.code):
            command, _, shown = part.partition("\n")
            self.shell(Block("shell", None, command, block.line))
            if command.startswith("$ nas "):
                self.compare(shown)

    def output(self, block: Block) -> None:
        """Compare what stands right below commands with what they have printed."""
        if self.last and self.last.language == "shell" and block.line == below(self.last):
            self.compare(block.code)

    def compare(self, shown: str) -> None:
        """Look for each line among those that were printed."""
        printed = [words(line) for line in self.printed.splitlines()]
        for line in shown.splitlines():
            begun = line.endswith("...")
            wanted = words(line.removesuffix("..."))
            found = any(
                each[: len(wanted)] == wanted if begun else each == wanted for each in printed
            )
            assert found, f"{line}\nis not in what was printed:\n{self.printed}"


def words(line: str) -> list[str]:
    """What a line says on every machine: its words, without numbers and values of names."""
    return [word for word in line.split() if not re.search(r"\d|\w=", word)]


def below(block: Block) -> int:
    """The line of a block that stands right below another one."""
    return block.line + block.code.count("\n") + 3


FIGURE = re.compile(r"!\[.+?\]\((.+?)\)")
KINDS = {
    "python": Reader.python,
    "shell": Reader.shell,
    "console": Reader.console,
    "text": Reader.output,
    "py": Reader.output,
}


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """What runs `nas`."""
    with started() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("document", READ, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_runs(document: Path, commands: Commands) -> None:
    reader, text = Reader(document, commands), document.read_text()
    for block in blocks(text):
        if block.title:
            Path(block.title).write_text(block.code)
        elif run := KINDS.get(block.language):
            run(reader, block)
        reader.last = block
    for figure in FIGURE.findall(text):
        assert Path(Path(figure).name).read_text() == (document.parent / figure).read_text(), figure
