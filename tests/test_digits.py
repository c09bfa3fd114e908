"""The digits example: its space, and that a search over it is the same for every concurrency."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import torch
from nas_core import Space, build, engine, resolve
from nas_search import Experiment, ExperimentConfig, StrategyConfig, load_target

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits"
_COUNT = int(os.environ.get("NAS_GRAPH_ARCHITECTURES", "5"))


@pytest.fixture(scope="module")
def example() -> ModuleType:
    net = load_target("space.py:Net", EXAMPLE)
    return sys.modules[net.__module__]


def test_the_space_is_nested(example: ModuleType) -> None:
    space = Space.of(example.Net(), example.evaluator)
    assert space.size() == 190_512
    assert space.conditions["fine.1.kernel"] == (
        {"fine.1.operation": ("separable",), "fine.depth": (2,)},
    )
    assert {"lr", "smoothing"} <= set(space.labels)


def test_every_operation_trains(example: ModuleType) -> None:
    space = Space.of(example.Net())
    for seed in range(5):
        architecture = Space.of(example.Net(), example.evaluator).sample(seed=seed)
        model = build(example.Net(), architecture.restrict(space.labels))
        recipe = replace(resolve(example.evaluator, architecture), steps=2)
        metrics = recipe.evaluate(model, seed=0, report=lambda step, metrics: None)
        assert {"accuracy", "test_accuracy", "parameters"} <= set(metrics)


def test_the_engines_build_the_same(example: ModuleType) -> None:
    net, graph = example.Net(), engine("graph")
    space, (x, _) = Space.of(net), example.digits()["test"]
    for seed in range(_COUNT):
        architecture = space.sample(seed=seed)
        torch.manual_seed(seed)
        expected = build(net, architecture)
        torch.manual_seed(seed)
        built = graph.build(net, architecture)
        assert list(built.state_dict()) == list(expected.state_dict())
        assert torch.equal(built.eval()(x[:16]), expected.eval()(x[:16]))


def test_the_parts_of_the_data_share_nothing(example: ModuleType) -> None:
    parts = example.digits()
    assert {name: len(y) for name, (_, y) in parts.items()} == {
        "test": 360,
        "validation": 360,
        "train": 1077,
    }
    again = example.digits()
    assert all(torch.equal(parts[name][0], again[name][0]) for name in parts)


EVOLUTION = StrategyConfig("regularized_evolution", {"population_size": 4})


def search(
    example: ModuleType,
    folder: Path,
    concurrency: int,
    engine: str = "py",
    strategy: StrategyConfig = EVOLUTION,
    **engine_options: Any,
) -> list[Any]:
    config = msgspec.structs.replace(
        ExperimentConfig.from_toml(EXAMPLE / "digits.toml"),
        directory=str(folder / f"{engine}-{concurrency}"),
        execution_engine=engine,
        engine_options=engine_options,
        max_trials=8,
        trial_concurrency=concurrency,
        strategy=strategy,
    )
    evaluator = replace(example.evaluator, epochs=1)
    experiment = Experiment(example.Net(), evaluator, None, config)
    experiment.run()
    return [(t.number, t.architecture.to_json(), t.seed, t.metrics) for t in experiment.trials]


def test_one_or_two_trials_at_once_give_the_same(example: ModuleType, tmp_path: Path) -> None:
    one = search(example, tmp_path, 1)
    two = search(example, tmp_path, 2)
    assert len(one) == 8
    assert all(metrics for *_, metrics in one)
    assert one == two


def test_the_engines_give_the_same(example: ModuleType, tmp_path: Path) -> None:
    by_constructor = search(example, tmp_path, 2, "py")
    by_source = search(example, tmp_path, 2, "graph")
    merged = search(example, tmp_path, 2, "cgo", exact=True)
    assert by_constructor == by_source
    assert merged == by_source


def test_merged_candidates_are_as_good(example: ModuleType, tmp_path: Path) -> None:
    """The bound is that of docs/cgo.md; a random search does not look at what it is told."""
    alone = search(example, tmp_path, 2, "graph", StrategyConfig("random"))
    merged = search(example, tmp_path, 2, "cgo", StrategyConfig("random"))
    assert [trial[:3] for trial in merged] == [trial[:3] for trial in alone]
    for (*_, found), (*_, expected) in zip(merged, alone, strict=True):
        assert found.pop("parameters") == expected.pop("parameters")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            bound = {"abs": 0.01} if name.endswith("accuracy") else {"rel": 0.001}
            assert found[name] == pytest.approx(value, **bound)
