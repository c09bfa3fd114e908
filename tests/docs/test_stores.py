"""What the page about databases says is done, on two machines, with a server of our own.

The machines are two folders. Only where the database and the bucket are is put in the page's place.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import ROOT, blocks
from nas_search import Experiment
from nas_search.testing import Server, postgresql_programs, postgresql_server

pytestmark = pytest.mark.slow
BLOCKS = list(blocks((ROOT / "docs" / "stores.md").read_text()))
SPACE = """
import time
from pathlib import Path
import nas_core as nas
import nas_core.nn as nn
from nas_search.evaluators import FunctionEvaluator

@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, nn.ValueChoice(list(range(1, 9)), label="width"))

def evaluate(model):
    Path("ready").touch()
    while not all(Path("..", name, "ready").exists() for name in ("here", "there")):
        time.sleep(0.05)
    return float(model.layer.out_features)

evaluator = FunctionEvaluator(evaluate)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL here (apt-get install postgresql)")
    with postgresql_server(programs) as started:
        yield started


def commands() -> list[str]:
    """The lines of the page that are typed, but for what installs."""
    lines = [
        line for block in BLOCKS if block.language == "text" for line in block.code.split("\n")
    ]
    return [line for line in lines if line and not line.startswith("pip ")]


def test_two_machines_explore_one_space_and_go_on(server: Server, tmp_path: Path) -> None:
    (toml,) = (block.code for block in BLOCKS if block.title == "search.toml")
    toml = toml.replace("me@db.example.org", f"{server.user}@127.0.0.1:{server.port}")
    toml = toml.replace("s3://my-bucket", f"file://{tmp_path}/bucket")
    machines = [tmp_path / name for name in ("here", "there")]
    for machine in machines:
        machine.mkdir()
        (machine / "space.py").write_text(SPACE)
        (machine / "search.toml").write_text(toml)
    connection = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": server.user}
    path = f"{Path(sys.executable).parent}:{server.programs}:{os.environ['PATH']}"

    def started(line: str, machine: Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            shlex.split(line), cwd=machine, env=os.environ | connection | {"PATH": path},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    create, run, resume = commands()
    assert [line.split()[0] for line in (create, run, resume)] == ["createdb", "nas", "nas"]
    for line, where in ((create, machines[:1]), (run, machines), (resume, machines)):
        for process in [started(line, machine) for machine in where]:
            said, _ = process.communicate(timeout=600)
            assert process.returncode == 0, said
    for machine in machines:
        trials = Experiment.open(machine / "nas-experiments" / "digits").trials
        assert sorted(t.architecture["width"] for t in trials) == list(range(1, 9))
        assert {t.state for t in trials} == {"completed"}
    weights = (tmp_path / "bucket" / "nas" / "digits" / "weights").iterdir()
    assert sorted(int(re.sub(r"\D", "", path.name)) for path in weights) == list(range(8))
