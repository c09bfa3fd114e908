"""The installed `nas`, with what it imports there already: importing takes most commands longest.

This file run as a program imports once, and forks for each command that it is told; in the fork the
script `nas` runs as in a process of its own.
"""

import gc
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

NAS = Path(sys.executable).with_name("nas")
WIDE = {**os.environ, "COLUMNS": "120"}  # lines are shown as wide terminals have them


@dataclass(frozen=True)
class Commands:
    """A process that runs commands, one after the other."""

    process: "subprocess.Popen[str]"
    printed: Path

    def run(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Run `nas` in the current folder: its exit code, and what it prints."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([str(Path.cwd()), *arguments]), file=self.process.stdin, flush=True)
        code = int(self.process.stdout.readline())
        return code, self.printed.read_text()


@contextmanager
def started() -> Iterator[Commands]:
    """Start the process that runs commands, and end it."""
    with TemporaryDirectory() as folder:
        printed = Path(folder, "printed")
        with subprocess.Popen(
            [sys.executable, __file__, printed],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=WIDE,
        ) as process:  # fmt: skip
            yield Commands(process, printed)
            process.stdin.close()


def serve(printed: str) -> None:
    """Run the commands that come line by line, and answer each with its exit code."""
    for name in ("torch", "torch._dynamo", "nas_cli.main"):  # the second is what optimizers import
        import_module(name)
    gc.freeze()  # the memory of forks stays shared, which takes seconds to copy
    for line in sys.stdin:
        if not (command := os.fork()):
            become(*json.loads(line), printed=printed)
        _, status = os.waitpid(command, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(folder: str, *arguments: str, printed: str) -> None:
    """Be the installed command, to the end of this process."""
    os.chdir(folder)
    with Path(os.devnull).open() as nothing, Path(printed).open("w") as file:
        for theirs, ours in enumerate((nothing, file, file)):
            os.dup2(ours.fileno(), theirs)
    sys.argv = [str(NAS), *arguments]
    sys.path[0] = str(NAS.parent)
    runpy.run_path(str(NAS), run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    serve(sys.argv[1])
