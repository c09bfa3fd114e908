"""Every Python block of the documents runs, and every `nas` command in them.

The blocks of a document share names, as if typed one after the other. A block with a title,
```` ```toml title="search.toml" ````, is a file for the commands and blocks after it. A figure is
what the commands of its document have drawn.
"""

import doctest
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import DOCUMENTS, ROOT, Block, blocks

# The examples take minutes: the demo session does what their documents say.
READ = [document for document in DOCUMENTS if ROOT / "examples" not in document.parents]


class Reader:
    """Does with a document what its reader would do, in an empty folder."""

    def __init__(self, document: Path) -> None:
        self.document = document
        self.names: dict[str, Any] = {"__name__": "__main__"}

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
        for line in block.code.splitlines():
            program, *arguments = shlex.split(line.removeprefix("$ "), comments=True) or [""]
            if program == "nas":
                command = [Path(sys.executable).with_name("nas"), *arguments]
                done = subprocess.run(command, check=False, capture_output=True, text=True)
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


FIGURE = re.compile(r"!\[.+?\]\((.+?)\)")
KINDS = {"python": Reader.python, "shell": Reader.shell, "console": Reader.shell}


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
def test_every_block_runs(document: Path) -> None:
    reader, text = Reader(document), document.read_text()
    for block in blocks(text):
        if block.title:
            Path(block.title).write_text(block.code)
        elif run := KINDS.get(block.language):
            run(reader, block)
    for figure in FIGURE.findall(text):
        assert Path(Path(figure).name).read_text() == (document.parent / figure).read_text(), figure
