"""Methods whose first argument has another name than ``self``."""

import ast
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict  # noqa: UP035

import corpus
import pytest
import torch
from corpus.case import CASES
from torch import Tensor, nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.frontend.source.sources import parsed
from nas_engine_graph.memory.reading import reading_of
from nas_engine_graph.testing import assert_round_trip

# mypy: disable-error-code="misc"
# ruff: noqa: N805
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.mark.parametrize(
    "part",
    ["attributes", "calling", "forks", "idioms", "inheritance", "iterated", "objects", "overrides"],
)
def test_the_name_changes_nothing(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(corpus.__path__[0], f"{part}.py").read_text(encoding="utf-8")
    renamed = re.sub(r"\bself\b", "this", source)
    (tmp_path / f"renamed_{part}.py").write_text(renamed, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = len(CASES)
    importlib.import_module(f"renamed_{part}")
    cases, CASES[before:] = CASES[before:], []
    assert cases
    for case in cases:
        assert_round_trip(case.make, *case.inputs, **case.keywords)


class Later(nn.Module):
    def __init__(this) -> None:
        super().__init__()
        this.linear = nn.Linear(3, 3)

    def forward(this, x) -> Dict[str, torch.jit.Future[Tensor]]:  # noqa: UP006
        return {"made": torch.jit.fork(this.linear, x)}


class Waits(nn.Module):
    """Waits for what a module inside has in a dict."""

    def __init__(s) -> None:
        super().__init__()
        s.later = Later()

    def forward(s, x):
        futures = s.later(x)
        return torch.jit.wait(futures["made"]) * 2


class Hides(nn.Module):
    """Has variables that are called as the receiver is, and one that is called ``self``."""

    def __init__(net) -> None:
        super().__init__()
        net.layers = nn.ModuleList([nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])
        net.size, net.rate = 3, 0.5

    @staticmethod
    def shifted(net: Tensor, by: float) -> Tensor:
        return net + by

    @property
    def twice(of) -> float:
        return of.rate * 2

    def scaled(n, x, by: float = 0.5):
        return x * by

    def forward(net, x):
        self = net.shifted(x, by=1.5)
        for layer in net.layers[:2]:
            self = self + layer(x)
        self_ = sum([net(x) for net in net.layers])
        return self * self_, net.scaled(x, net.size) ** net.twice, type(net).__name__


class Switched(nn.Module):
    """Keeps a part in eval mode, and drops what it has kept."""

    def __init__(this) -> None:
        super().__init__()
        this.drop, this.kept = nn.Dropout(0.5), None

    def train(this, mode: bool = True):
        super().train(mode)
        this.kept = None
        return this

    def forward(this, x):
        return this.drop(x) + x


@pytest.mark.parametrize("make", [Hides, Switched, Waits])
def test_other_variables_stay_what_they_are(make: Callable[[], nn.Module]) -> None:
    assert_round_trip(make, torch.randn(2, 3))


class Refused(nn.Module):
    def forward(this, x):
        y = this.training
        return x.refused(y)


def test_what_is_refused_is_where_it_is_in_the_source() -> None:
    with pytest.raises(UnsupportedModuleError) as caught:
        convert(Refused())
    place: Any = caught.value.place
    line = Path(place.file).read_text(encoding="utf-8").splitlines()[place.line - 1]
    assert line.strip() == "return x.refused(y)"


class Moves(nn.Module):
    def forward(this, x):
        return x

    def train(this, mode: bool = True):
        this.kept = mode if len(this.kept) > 2 else "off"  # fmt: skip
        return super().train(mode)


class Loops(nn.Module):
    def __init__(this) -> None:
        super().__init__()
        this.blocks = nn.ModuleList([nn.Linear(3, 3)])

    def forward(this, x):
        for block in this.blocks[ : x.shape[0]]:  # fmt: skip
            x = block(x)
        return x


@pytest.mark.parametrize(
    ("make", "text"),
    [(Moves, "`this.kept`"), (Loops, "`this.blocks[ : x.shape[0]]`")],
)
def test_what_is_refused_is_called_what_it_is_called_there(
    make: Callable[[], nn.Module], text: str
) -> None:
    with pytest.raises(UnsupportedModuleError, match=re.escape(text)):
        convert(make())


class Read(nn.Module):
    def __init__(this) -> None:
        super().__init__()
        this.blocks = nn.ModuleList([nn.Linear(3, 3)])
        this.norm = nn.LayerNorm(3)

    def forward(this, x):
        for block in this.blocks:
            x = block(x)
        return x @ this.norm.weight


def test_what_is_remembered_of_a_class_is_the_same() -> None:
    read = reading_of(Read)
    assert (read.opened, read.iterated, read.walks) == ({"norm"}, {("blocks", 0)}, False)


def test_a_name_is_as_long_as_in_the_source() -> None:
    """TorchScript tells by the length where what it shows of the source ends."""
    names = [n.id for n in ast.walk(parsed(Hides.forward)) if isinstance(n, ast.Name)]
    found = [(str(name), len(name)) for name in names if name.startswith(("self", "net"))]
    assert {*found} == {("self", 3), ("self__", 4), ("self_", 5), ("net_", 3)}
    arguments = [parsed(f).body[0].args.args[0].arg for f in (Hides.shifted, Hides.scaled)]  # type: ignore[attr-defined]
    assert arguments == ["net", "self"]
