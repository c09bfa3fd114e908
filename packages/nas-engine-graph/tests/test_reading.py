"""How much of a model is read and tried out, and how often."""

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.jit._recursive as recursive
from corpus.arguments import AsksTheCompiler, CallsWhatTries
from torch import Tensor, nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.frontend.overriding import trials
from nas_engine_graph.frontend.source import marked
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.testing import assert_round_trip

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


@pytest.mark.parametrize("module", [ast, inspect, torch.nn.functional, torch.nn.modules.module])
def test_the_nodes_of_a_tree_are_those_that_ast_walks_through(module: Any) -> None:
    tree = ast.parse(inspect.getsource(module))
    signs = ast.expr_context | ast.operator | ast.boolop | ast.unaryop | ast.cmpop
    walked = [n for n in ast.walk(tree) if not isinstance(n, signs)]
    assert nodes_of(tree) == walked


class _Shouted(Rewriter):
    """Writes names large, twice in rows of expressions, and leaves out what asserts."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Name(node.id.upper(), node.ctx), node)

    def visit_Expr(self, node: ast.Expr) -> list[ast.AST]:
        return [self.generic_visit(node), node]

    def visit_Assert(self, node: ast.Assert) -> None: ...


class _SlowlyShouted(ast.NodeTransformer):
    visit_Name = _Shouted.visit_Name
    visit_Expr = _Shouted.visit_Expr
    visit_Assert = _Shouted.visit_Assert


@pytest.mark.parametrize("module", [ast, inspect, torch.nn.functional, torch.nn.modules.module])
def test_trees_are_rewritten_as_ast_does_it(module: Any) -> None:
    source = inspect.getsource(module)
    made, expected = _Shouted().visit(ast.parse(source)), _SlowlyShouted().visit(ast.parse(source))
    assert ast.dump(made) == ast.dump(expected)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The modules that TorchScript was given, and those inside of them."""
    given, create = [], recursive.create_script_module_impl

    def noting(module: nn.Module, *args: Any) -> Any:
        given.append(module)
        return create(module, *args)

    monkeypatch.setattr(recursive, "create_script_module_impl", noting)
    return given


@pytest.mark.parametrize("make", [AsksTheCompiler, CallsWhatTries])
def test_a_function_that_can_not_be_read_is_no_reason_to_read_the_model_again(
    make: Callable[[], nn.Module], scripted: list[nn.Module]
) -> None:
    model = nn.Sequential(make(), nn.Linear(3, 3), make())
    graph = convert(model)
    assert sum(isinstance(module, nn.Sequential) for module in scripted) == 1
    assert_round_trip(lambda: nn.Sequential(make(), nn.Linear(3, 3), make()), torch.randn(2, 3))
    assert graph == convert(model)


class Scaled(nn.Module):
    def __init__(self, scale: float, width: int = 3) -> None:
        super().__init__()
        self.scale, self.weight = scale, nn.Parameter(torch.zeros(width))
        self.register_buffer("seen", torch.zeros(5000))

    def _load_from_state_dict(self, state_dict, prefix, *args):  # type: ignore[no-untyped-def]
        state_dict[prefix + "weight"] = state_dict[prefix + "weight"] * self.scale
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight.sum() + self.seen.sum()  # type: ignore[operator]


def test_what_loads_weights_is_tried_out_once_for_all_that_are_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried, copied = [], trials.twin_of

    def noting(module: nn.Module) -> nn.Module:
        tried.append(module)
        return copied(module)

    monkeypatch.setattr(trials, "twin_of", noting)
    convert(nn.Sequential(*(Scaled(1.0) for _ in range(4))))
    assert len(tried) == 1
    convert(nn.Sequential(Scaled(1.0), Scaled(1.0, width=4)))
    assert len(tried) == 3


def test_one_that_loads_weights_otherwise_than_those_before_is_found() -> None:
    with pytest.raises(UnsupportedModuleError, match="makes others of the weights") as refused:
        convert(nn.Sequential(Scaled(1.0), Scaled(1.0), Scaled(2.0)))
    assert refused.value.path == "2"


class Turned(nn.Module):
    """Gives what it loads another order, of rows or of whole tensors."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first = nn.Parameter(torch.zeros(96, 96))
        self.second = nn.Parameter(torch.zeros(96, 96))

    def _load_from_state_dict(self, state_dict, prefix, *args):  # type: ignore[no-untyped-def]
        first, second = (state_dict[prefix + name].clone() for name in ("first", "second"))
        if self.kind == "transposed":
            first, second = first.t(), second.t()
        elif self.kind == "rolled":
            first = first.roll(1, 0)
        elif self.kind == "changed":
            first, second = second, first
        elif self.kind == "in place":
            state_dict[prefix + "first"][0, 0] += 1
            first = state_dict[prefix + "first"]
        state_dict[prefix + "first"], state_dict[prefix + "second"] = first, second
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.first @ self.second


@pytest.mark.parametrize("kind", ["transposed", "rolled", "changed", "in place"])
def test_weights_that_change_places_are_found(kind: str) -> None:
    with pytest.raises(UnsupportedModuleError, match="makes others of the weights"):
        convert(nn.Sequential(Turned(kind)))


def test_weights_that_stay_are_no_reason_to_refuse() -> None:
    assert_round_trip(lambda: nn.Sequential(Turned("same")), torch.randn(2, 96))


TEXT = '''
def a():
    """Text in which
def b():
    begins nothing.
    """
    return call(1)


if True:
    def c():
        return other(call(2))


class D:
    def e(self):
        return call(3)
'''


def test_calls_are_found_in_the_function_or_class_around_them(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text(TEXT)
    lines = [n for n, line in enumerate(TEXT.splitlines(), 1) if "call(" in line]
    for line in lines:
        shown = TEXT.splitlines()[line - 1]
        column = shown.index("call")
        node = SimpleNamespace(
            sourceRange=lambda line=line, shown=shown, column=column: (
                f'  File "{file}", line {line}\n{shown}\n{" " * column}~~~~ <--- HERE\n'
            )
        )
        found = marked.called(node)
        assert found is not None
        assert (found.lineno, found.col_offset) == (line, column)
        assert ast.unparse(found) == f"call({lines.index(line) + 1})"
