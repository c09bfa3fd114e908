"""The engine: equal to the py engine, alone when exported, and clear about what it can't do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import cloudpickle
import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
from nas_core import Candidate
from nas_core.testing import CountParameters, Recording
from torch import Tensor

from nas_engine_graph.engine import GraphEngine
from nas_engine_graph.ir import Graph
from nas_engine_graph.weights import Generated, generated


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, nn.ValueChoice([1, 3]), padding="same")
        self.register_buffer("noise", torch.rand(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.conv(x)) + self.noise


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([4, 6], label="width")
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Repeat(lambda i: Residual(width), (0, 2), label="depth")
        self.body = nn.LayerChoice(
            {"conv": nn.Conv2d(width, width, 3, padding=1), "skip": nn.Identity()}, label="body"
        )
        self.inputs = nn.InputChoice(2, None, "mean", label="inputs")
        self.scale = nn.ValueChoice([1.0, 0.5], label="scale")
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        x = self.inputs([x, self.body(x)]) * self.scale()
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("seed", range(12))
def test_a_candidate_is_that_of_the_py_engine_to_the_bit(seed: int) -> None:
    net = Net()
    architecture = nas.Space.of(net).sample(seed=seed)
    torch.manual_seed(seed)
    expected = nas.build(net, architecture)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    built = GraphEngine().build(net, architecture)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(built.state_dict()) == list(expected.state_dict())
    x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    for a, b in zip(built.state_dict().values(), expected.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(built(x), expected(x))
    built(x).sum().backward()
    expected(x).sum().backward()
    for p, q in zip(built.parameters(), expected.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        assert p.grad is None or torch.equal(p.grad, q.grad)


def test_exported_code_runs_where_nothing_of_ours_is(tmp_path: Path) -> None:
    net, engine = Net(), GraphEngine()
    architecture = nas.Space.of(net).sample(seed=3)
    (tmp_path / "exported.py").write_text(engine.export(net, architecture, "code"))
    model = engine.build(net, architecture)
    x = torch.randn(2, 1, 6, 6)
    torch.save((model.state_dict(), dict(model.named_buffers()), x, model(x)), tmp_path / "data.pt")
    script = """
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0].startswith("nas_"):
                    raise ImportError(name)
        sys.meta_path.insert(0, Refuse())
        import torch, exported
        state, buffers, x, y = torch.load("data.pt")
        model = exported.Net()
        model.load_state_dict(state, strict=True)
        for name, buffer in buffers.items():
            model.get_buffer(name).copy_(buffer)
        assert torch.equal(model(x), y)
        print("equal")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "equal\n", done.stderr


class Sorts(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        order = sorted(range(3), key=lambda i: -i)
        return x[:, order]


@nas.model_wrapper
class SometimesSorts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LayerChoice([nn.Linear(3, 3), Sorts()], label="body")

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def test_an_architecture_that_comes_again_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As candidates that differ in the evaluator's choices do."""
    made: list[Graph] = []

    def counted(before: Graph, after: Graph) -> Generated:
        made.append(after)
        return generated(before, after)

    monkeypatch.setattr("nas_engine_graph.engine.generated", counted)
    engine, model = GraphEngine(), SometimesSorts()
    values: list[dict[str, Any]] = [{"body": 0, "lr": 0.1}, {"body": 0, "lr": 0.2}]
    candidates = [Candidate(i, nas.Architecture(v), seed=i) for i, v in enumerate(values)]
    list(engine.problems(model, CountParameters()))
    made.clear()
    jobs = [*engine.plan(model, candidates, CountParameters())]
    jobs += engine.plan(model, candidates, CountParameters())
    assert len(made) == 1
    states = [job.build().state_dict() for job in jobs]
    assert not torch.equal(states[0]["body.weight"], states[1]["body.weight"])


def test_a_candidate_that_can_not_be_converted_fails_alone() -> None:
    candidates = [
        Candidate(i, nas.Architecture({"body": body}), seed=i) for i, body in enumerate([0, 1, 0])
    ]
    jobs = GraphEngine().plan(SometimesSorts(), candidates, CountParameters())
    results = [
        r for job in jobs for r in cloudpickle.loads(cloudpickle.dumps(job)).run(Recording())
    ]
    assert [result.metrics for result in results] == [
        {"parameters": 12.0},
        None,
        {"parameters": 12.0},
    ]
    assert "test_engine.py" in results[1].error
    assert "@nas.basic_unit" in results[1].error


@nas.model_wrapper
class AlwaysSorts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.width = nn.ValueChoice([1, 2], label="width")
        self.body = Sorts()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def test_a_model_that_can_not_be_converted_is_a_problem_with_its_line() -> None:
    (problem,) = GraphEngine().problems(AlwaysSorts(), CountParameters())
    line = next(
        i for i, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "sorted(" in text
    )
    assert f"test_engine.py:{line}" in str(problem)


@nas.model_wrapper
class Uncalled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ValueChoice([1, 2], label="heads")

    def forward(self, x: Tensor) -> Tensor:
        return x.view(self.heads(), x.size(0) // self.heads)


@nas.model_wrapper
class UncalledOnAnotherLine(Uncalled):
    def forward(self, x: Tensor) -> Tensor:
        return x.exp().view(
            self.heads,
            -1,
        )


@pytest.mark.parametrize(
    ("space", "named"),
    [(Uncalled, "x.size(0) // self.heads"), (UncalledOnAnotherLine, "x.exp().view")],
)
def test_a_choice_that_is_not_called_is_named_as_it_is_written(space: Any, named: str) -> None:
    (problem,) = GraphEngine().problems(space(), CountParameters())
    assert f"`{named}` uses a choice that is not called" in str(problem)
    assert "Known" not in str(problem)


def test_a_job_of_a_class_that_only_the_script_has_runs_elsewhere(tmp_path: Path) -> None:
    script = """
        import sys, cloudpickle, torch
        import nas_core as nas, nas_core.nn as nn
        from nas_core import Candidate
        from nas_core.testing import CountParameters
        from nas_engine_graph.engine import GraphEngine

        @nas.basic_unit
        class Twice(nn.Module):
            def __init__(self, times):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(times))
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x * self.weight.sum()

        @nas.model_wrapper
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.unit = Twice(nn.ValueChoice([2, 3], label="times"))
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.unit(x)

        candidate = Candidate(0, nas.Architecture({"times": 3}), seed=0)
        (job,) = GraphEngine().plan(Net(), [candidate], CountParameters())
        sys.stdout.buffer.write(cloudpickle.dumps(job))
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    sent = subprocess.run([sys.executable, path], capture_output=True, check=True).stdout
    run = (
        "import sys, cloudpickle; from nas_core.testing import Recording\n"
        "print(*cloudpickle.loads(sys.stdin.buffer.read()).run(Recording()))"
    )
    done = subprocess.run([sys.executable, "-c", run], input=sent, capture_output=True, check=True)
    assert b"{'parameters': 3.0}" in done.stdout


def test_conversion_does_not_import_the_compiler_of_torch() -> None:
    """It takes seconds, and drawing weights that nobody wants would import it."""
    program = (
        "import sys; from torch import nn; from nas_engine_graph import convert\n"
        "convert(nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 2)))\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
