"""What a trial says where ``forward`` has given a choice to a function without calling it."""

from __future__ import annotations

from typing import Any, ClassVar

import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from nas_core.candidate import run_candidate
from nas_core.failure import failure_text
from nas_core.protocols import Candidate, Metrics
from nas_core.testing import Recording


class Calls:
    """An evaluator that calls the model."""

    objectives: ClassVar = {"total": "maximize"}

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Any) -> Metrics:
        return {"total": float(model(torch.ones(2, 4)).sum())}


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self, compute: Any) -> None:
        super().__init__()
        self.n = nn.ValueChoice([1, 2], label="n")
        self.more = self.n + 1
        self.inner = torch.nn.Module()
        self.inner.kind = nn.ValueChoice(["constant", "reflect"], label="kind")
        self.compute = compute

    def forward(self, x: torch.Tensor) -> Any:
        return self.compute(self, x)


def of_a_variable(net: Any, x: torch.Tensor) -> torch.Tensor:
    rate = net.n
    return F.dropout(x, rate / 4)


def of_several_lines(net: Any, x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(
        x[None],
        scale_factor=net.n,
    )


def assigned(net: Any, x: torch.Tensor) -> torch.Tensor:
    x[0] = net.n
    return x


def failing(compute: Any) -> str:
    candidate = Candidate(0, nas.Architecture({"n": 1, "kind": "constant"}), seed=0)
    model = Net(compute)
    result = run_candidate(
        candidate, lambda: nas.build(model, candidate.architecture), Calls(), Recording()
    )
    assert result.error is not None
    return result.error


@pytest.mark.parametrize(
    ("compute", "uses", "write", "line"),
    [
        (lambda net, x: F.dropout(x, net.n), "`F.dropout(x, net.n)` uses n", "net.n", 0),
        (lambda net, x: x.clamp(max=net.n), "`x.clamp(max=net.n)` uses n", "net.n", 0),
        (lambda net, x: torch.sum(x, net.n), "`torch.sum(x, net.n)` uses n", "net.n", 0),
        (lambda net, x: x[:, net.n], "`x[:, net.n]` uses n", "net.n", 0),
        (lambda net, x: x.add(x, alpha=net.more), "uses n + 1", "net.more", 0),
        (lambda net, x: F.pad(x, (1, 1), net.inner.kind), "uses kind", "net.inner.kind", 0),
        (of_a_variable, "`F.dropout(x, rate / 4)` uses n", "rate", 2),
        (of_several_lines, "`F.interpolate(x[None], scale_factor=net.n)` uses n", "net.n", 1),
        (assigned, "`x[0] = net.n` uses n", "net.n", 1),
    ],
)
def test_a_choice_that_is_given_to_torch_is_named_with_what_to_write(
    compute: Any, uses: str, write: str, line: int
) -> None:
    told = failing(compute)
    assert uses in told
    assert f", a choice that is not called: write `{write}()` for its value (" in told
    place = f"test_uncalled.py:{compute.__code__.co_firstlineno + line})"
    assert told.endswith(place), told


@pytest.mark.parametrize(
    "compute",
    [
        lambda net, x: F.dropout(x, str(net.n())),
        lambda net, x: x.view(3, net.n()),
        lambda net, x: x.view(3, net.n),
    ],
)
def test_what_torch_says_of_something_else_stays(compute: Any) -> None:
    assert "choice" not in failing(compute)


def test_what_ours_says_itself_is_said_in_the_same_words() -> None:
    told = failing(lambda net, x: x * net.n)
    assert told.startswith("`x * net.n` uses n, a choice that is not called: write `net.n()`")


def test_code_without_a_file_is_told_of_in_torchs_words() -> None:
    scope: dict[str, Any] = {"F": F, "net": Net(None)}
    with pytest.raises(TypeError) as raised:
        exec("def f(x):\n    F.dropout(x, net.n)\nf(None)", scope)
    assert "choice that is not called" not in failure_text(raised.value)
