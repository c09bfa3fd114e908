"""Start-up of ``nas list-engines`` against bare Python, and against importing torch."""

import argparse
import subprocess
import sys
import sysconfig
from pathlib import Path

from side_by_side import compare


def running(*command: str) -> None:
    """Run a command and insist that it succeeds."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    nas = str(Path(sysconfig.get_path("scripts")) / "nas")
    for name, code in (("python -c pass", "pass"), ("python -c 'import torch'", "import torch")):
        result = compare(
            lambda: running(nas, "list-engines", "--json"),
            lambda code=code: running(sys.executable, "-c", code),  # type: ignore[misc]
            rounds,
        )
        print(f"nas list-engines / {name}  {result}")
        print(f"  {1000 * result.ours:.0f} ms against {1000 * result.theirs:.0f} ms")
