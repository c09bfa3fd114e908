"""Classes that functions define: the very ones in this process, and written out in files."""

import importlib.util
import pickle
from pathlib import Path
from types import ModuleType

import pytest
import torch
from corpus.left_methods import many
from corpus.local_classes import of_all_kinds
from torch import Tensor, nn

from nas_engine_graph import UnsupportedModuleError, convert, importable
from nas_engine_graph.backend.source import source_of

# TorchScript says that it is deprecated wherever it is called.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


def imported(source: str, folder: Path) -> ModuleType:
    """The module of a file with this source."""
    file = folder / "written.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("written", file)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def assert_alike(module: nn.Module, twin: nn.Module) -> None:
    """Equal outputs, though the classes of what they return may be others."""
    twin.load_state_dict(module.state_dict())
    x = torch.randn(2, 3)
    (found, count, plain, kind), (other, *others) = module(x), twin(x)
    assert torch.equal(found.y, other.y) and found.count == other.count
    assert count == others[0] and torch.equal(plain, others[1]) and kind.name == others[2].name


def test_generated_code_has_the_very_classes() -> None:
    module = of_all_kinds()
    twin = convert(module).instantiate()
    x = torch.randn(2, 3)
    assert type(twin(x)[0]) is type(module(x)[0]) and twin(x)[3] is module.kind
    assert_alike(module, twin)


def test_a_file_has_their_definitions(tmp_path: Path) -> None:
    module = of_all_kinds()
    source = convert(module).to_source()
    assert "class Inner:" in source and "by = 2.5" in source and "__locals__" not in source
    assert source.count("class Inner:") == 1, "also where two definitions need it"
    assert_alike(module, imported(source, tmp_path).Net())


def test_another_process_has_their_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    module = of_all_kinds()
    sent = pickle.dumps(source_of(convert(module)))
    monkeypatch.setattr(importable, "_CLASSES", {})
    assert_alike(module, pickle.loads(sent).instantiate())


def with_factor(factor: float) -> type:
    class Scale:
        def __init__(self) -> None:
            self.factor = 1.0

        def applied(self, x: Tensor) -> Tensor:
            return x * self.factor * factor

    return Scale


class Two(nn.Module):
    def __init__(self, first: type, second: type) -> None:
        super().__init__()
        self.first, self.second = first(), second()

    def forward(self, x):
        return self.first.applied(x) + self.second.applied(x)


def test_classes_of_one_name_are_not_taken_for_each_other() -> None:
    first, second = with_factor(2.0), with_factor(3.0)
    graph = convert(Two(first, second))
    x = torch.ones(2)
    assert torch.equal(graph.instantiate()(x), x * 5)
    assert graph != convert(Two(first, first))


def test_a_file_has_the_definitions_of_classes_of_one_name(tmp_path: Path) -> None:
    graph = convert(Two(with_factor(2.0), with_factor(3.0)))
    source = graph.to_source()
    x = torch.ones(2)
    assert torch.equal(imported(source, tmp_path).Two()(x), x * 5)
    assert source.count("class Scale:") == 2


def named_as_generated() -> type:
    class Two:
        """As the model is called.

        That are several lines.
        """

        def __init__(self) -> None:
            self.times = 9

        def applied(self, x: Tensor) -> Tensor:
            return x * self.times

    return Two


def test_a_file_has_the_definition_of_a_class_with_the_name_of_the_model(tmp_path: Path) -> None:
    module = Two(named_as_generated(), with_factor(2.0))
    source = convert(module).to_source()
    x = torch.ones(2)
    assert torch.equal(module(x), x * 11) and torch.equal(
        imported(source, tmp_path).Two_1()(x), x * 11
    )


def sharing(by: float) -> tuple[type, type]:
    class Inner:
        def __init__(self) -> None:
            self.by = by

    class Outer:
        def __init__(self) -> None:
            self.inner = Inner()

        def applied(self, x: Tensor) -> Tensor:
            return x * self.inner.by * by

    class Other:
        def __init__(self) -> None:
            self.inner = Inner()

        def applied(self, x: Tensor) -> Tensor:
            return x + self.inner.by

    return Outer, Other


def test_classes_that_need_one_class_are_not_written_apart(tmp_path: Path) -> None:
    outer, other = sharing(2.0)
    source = convert(Two(outer, other)).to_source()
    assert torch.equal(imported(source, tmp_path).Two()(torch.ones(2)), torch.full((2,), 7.0))
    module = nn.Sequential(Two(outer, other), Two(*sharing(3.0)))
    with pytest.raises(UnsupportedModuleError, match="'Outer_1'.*one of the same classes"):
        convert(module).to_source()


def test_methods_with_one_code_are_not_taken_for_each_other() -> None:
    module, x = nn.Sequential(many(2)(), many(3)(), many(2)()), torch.ones(2)
    twin = convert(module).instantiate()
    assert torch.equal(module(x), twin(x))
    assert convert(twin) == convert(module)


def test_what_can_not_be_written_out_is_said() -> None:
    def unchanged(cls: type) -> type:
        return cls

    @unchanged
    class Unclear:
        def __init__(self) -> None:
            self.factor = 2.0

        def applied(self, x: Tensor) -> Tensor:
            return x * self.factor

    graph = convert(Two(Unclear, Unclear))
    assert torch.equal(graph.instantiate()(torch.ones(2)), torch.full((2,), 4.0))
    with pytest.raises(
        UnsupportedModuleError, match="'Unclear', which a function.*what 'unchanged'"
    ):
        graph.to_source()
