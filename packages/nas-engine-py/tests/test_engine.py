"""What is special about this engine: any Python, from anywhere, and no source code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cloudpickle
import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core import Architecture, Candidate, Problem
from nas_core.errors import LabelConflictError, UnsupportedFormatError, UnsupportedSpaceError
from nas_core.testing import CountParameters, Recording
from nas_engine_py.engine import PyEngine


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Linear(1000, nn.ValueChoice([1000, 2000], label="width"))
        self.head = nn.Linear(nn.ValueChoice([1000, 2000], label="width"), classes)


def test_source_code_is_refused_with_the_reason_and_the_way_to_get_it() -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        PyEngine().export(Net(2), {"width": 1000}, "code")
    message = str(caught.value)
    assert "'py' can't export 'code', only dict, instance" in message
    assert "runs your class as it is, and keeps no source" in message
    able = [n for n, r in nas.engines().items() if "export-code" in r.info.capabilities]
    assert all(repr(name) in message for name in able)
    assert able or "pip install nas-engine-graph" in message


def test_a_class_without_the_decorator_is_a_problem_that_says_which_line_to_write() -> None:
    class Plain(nn.Module):
        pass

    (problem,) = PyEngine().problems(Plain(), CountParameters())
    assert isinstance(problem, Problem)
    assert "Plain" in problem.message
    assert "@nas_core.model_wrapper" in problem.message
    with pytest.raises(UnsupportedSpaceError, match="model_wrapper above `class Plain`"):
        PyEngine().plan(Plain(), [Candidate(0, Architecture({}), 0)], CountParameters())


def test_contradicting_choices_are_a_problem() -> None:
    @nas.model_wrapper
    class Conflict(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, nn.ValueChoice([1, 2], label="width"))
            self.b = nn.Linear(2, nn.ValueChoice([1, 3], label="width"))

    (problem,) = PyEngine().problems(Conflict(), CountParameters())
    assert "label 'width' is used for two different choices" in problem.message
    with pytest.raises(LabelConflictError):
        PyEngine().build(Conflict(), {"width": 1})


def test_a_job_holds_no_weights() -> None:
    (job,) = PyEngine().plan(
        Net(2), [Candidate(0, Architecture({"width": 2000}), 0)], CountParameters()
    )
    assert len(cloudpickle.dumps(job)) < 10_000
    (result,) = job.run(Recording())
    assert result.metrics == {"parameters": 1000 * 2000 + 2000 + 2 * 2000 + 2}


def test_a_model_that_is_passed_in_is_copied_for_each_candidate() -> None:
    @nas.model_wrapper
    class Around(nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner
            self.scale = nn.ValueChoice([1, 2], label="scale")

    inner = torch.nn.Linear(2, 2)
    engine, base = PyEngine(), Around(inner)
    first, second = (engine.build(base, {"scale": 1}) for _ in range(2))
    assert torch.equal(first.inner.weight, inner.weight)
    assert len({id(m.inner.weight) for m in (base, first, second)}) == 3


SENDER = """
import sys
import cloudpickle
import nas_core as nas
import nas_core.nn as nn
from nas_core import Architecture, Candidate

size = 4


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = nas.choose([2, 3], label="width")
        self.layers = nn.ModuleList(make(width) for _ in range(nas.choose([1, 2], label="depth")))


def make(width):
    return nn.Linear(size, width)


class Count:
    objectives = {"size": "maximize"}

    def evaluate(self, model, *, seed, report):
        assert isinstance(model, Net), type(model)
        return sum(p.numel() for p in model.parameters())


candidate = Candidate(5, Architecture({"width": 3, "depth": 2}), seed=0)
(job,) = nas.engine("py").plan(Net(), [candidate], Count())
sys.stdout.buffer.write(cloudpickle.dumps(job))
"""

RECEIVER = """
import sys
import cloudpickle

class Recorder:
    def trained(self, number, model):
        print(number, type(model).__name__)

job = cloudpickle.load(sys.stdin.buffer)
print(*(result.metrics or result.details for result in job.run(Recorder())))
"""


@pytest.mark.parametrize("kind", ["script", "notebook", "closure"])
def test_a_class_from_anywhere_works_in_another_process(kind: str, tmp_path: Path) -> None:
    """A script's classes live in ``__main__``; a notebook's have no file, either."""
    script, source = tmp_path / "script.py", SENDER
    if kind == "closure":
        source = "def main():\n" + "\n".join(f"    {line}" for line in SENDER.splitlines())
        source += "\nmain()\n"
    script.write_text(source)
    arguments = [str(script)] if kind != "notebook" else ["-"]
    sent = subprocess.run(
        [sys.executable, *arguments], input=source.encode(), capture_output=True, check=True
    )
    received = subprocess.run(
        [sys.executable, "-c", RECEIVER], input=sent.stdout, capture_output=True, check=True
    )
    assert received.stdout.decode().split("\n")[:2] == ["5 Net", "{'size': 30.0}"]


def test_discovery_does_not_import_torch() -> None:
    code = (
        "import sys\nimport nas_core as nas\n"
        "assert nas.engines()['py'].distribution == 'nas-engine-py'\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
