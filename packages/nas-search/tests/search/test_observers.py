"""TensorBoard, MLflow and progress: what they keep is what is stored, each point once."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nas_search import ConfigError, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.observers import (
    MLflowObserver,
    ProgressLines,
    TensorBoardObserver,
    make_observers,
)
from nas_search.strategies import MissingExtraError


def measure(model, report):
    width = model.layer.out_features
    for step in range(3):
        report(step, {"half": width / 2 + step, "loss": float("nan")})
    if width % 5 == 0:
        raise ValueError("a multiple of 5")
    return {"width": float(width), "half": width / 2 + 2}


@pytest.fixture
def watched(experiment):
    """Makes an experiment that reports, some of whose trials fail."""

    def make(**options):
        return experiment(
            evaluator=FunctionEvaluator(measure, {"width": "maximize"}), max_trials=8, **options
        )

    return make


def reported(one) -> list[tuple[int, str, int, float]]:
    return sorted(
        (trial.number, name, report.step, value)
        for trial in one.trials
        for report in trial.reports
        for name, value in report.metrics.items()
        if value is not None
    )


def events(folder: Path) -> Iterator[Any]:
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("*tfevents*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def in_tensorboard(runs: Path) -> list[tuple[int, str, int, float]]:
    return sorted(
        (int(run.name.removeprefix("trial-")), value.tag, event.step, value.simple_value)
        for run in runs.glob("trial-*")
        for event in events(run)
        for value in event.summary.value
        if value.HasField("simple_value") and "/" not in value.tag
    )


def results_in_tensorboard(runs: Path) -> dict[str, list[float]]:
    return {
        run.name: [
            value.simple_value
            for event in events(run)
            for value in event.summary.value
            if value.tag == "final/width"
        ]
        for run in runs.glob("trial-*")
    }


def test_tensorboard_has_each_report_and_result_once_also_after_a_resume(watched) -> None:
    one = watched(observers=[TensorBoardObserver()])
    one.run()
    runs = one.folder / "tensorboard"
    # As kill -9 leaves it: one trial unheard, and one that the store has forgotten.
    for path in (runs / "trial-0").iterdir():
        path.unlink()
    (runs / "trial-8").mkdir()
    (runs / "trial-8" / "events.out.tfevents.1").write_bytes(b"")
    one.config = msgspec.structs.replace(one.config, max_trials=12)
    one.resume()
    assert len(one.trials) == 12
    assert in_tensorboard(runs) == reported(one)
    final = {f"trial-{t.number}": [t.metrics["width"]] if t.metrics else [] for t in one.trials}
    assert results_in_tensorboard(runs) == final


def test_a_trial_that_starts_again_begins_its_run_anew(watched, tmp_path: Path) -> None:
    one = watched()
    one.run()
    for _ in range(2):  # the second is a new process after kill -9
        observer = TensorBoardObserver(tmp_path / "runs", home=one.folder)
        observer.nas_experiment_started("experiment", one.config)
        observer.nas_trial_started(8, {"width": 1}, "experiment")
        observer.nas_trial_reported(8, 0, {"half": 1.0}, "experiment")
        observer.nas_experiment_finished("experiment", "killed")
    runs = tmp_path / "runs" / "experiment"
    assert in_tensorboard(runs) == [*reported(one), (8, "half", 0, 1.0)]


def by_trial(client, found) -> dict[int, Any]:
    runs = client.search_runs([found.experiment_id])
    return {int(run.data.tags["nas.trial"]): run for run in runs}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy
def test_mlflow_has_a_run_for_each_trial_and_each_point_once(watched) -> None:
    from mlflow import MlflowClient

    one = watched(observers=[MLflowObserver()])
    one.run()
    client = MlflowClient(tracking_uri=f"sqlite:///{one.folder.absolute() / 'mlflow.db'}")
    (found,) = [each for each in client.search_experiments() if each.name == "experiment"]
    runs = by_trial(client, found)
    # As kill -9 leaves it: one trial unheard, one that was running.
    client.delete_run(runs[0].info.run_id)
    client.update_run(runs[1].info.run_id, status="RUNNING")
    client.log_metric(runs[1].info.run_id, "half", 9.0, step=0)
    one.resume()
    runs = by_trial(client, found)
    assert sorted(runs) == [trial.number for trial in one.trials]
    points = sorted(
        (number, "half", point.step, point.value)
        for number, run in runs.items()
        for point in client.get_metric_history(run.info.run_id, "half")
    )
    assert points == reported(one)
    for trial in one.trials:
        data, status = runs[trial.number].data, runs[trial.number].info.status
        assert data.params == {"width": str(trial.architecture["width"])}
        if trial.error:
            assert (status, data.tags["error"]) == ("FAILED", trial.error)
        else:
            assert (status, data.metrics["width"]) == ("FINISHED", trial.metrics["width"])


def test_progress_is_a_line_for_each_trial(watched) -> None:
    text = io.StringIO()
    one = watched(observers=[ProgressLines(text)])
    one.run()
    lines = text.getvalue().splitlines()
    assert len(lines) == 9
    assert lines[0].startswith("[1/8] trial 0 ")
    assert lines[-1] == "experiment ended: all 8 trials are done"


def test_observers_are_named_in_a_file(tmp_path: Path, watched) -> None:
    path = tmp_path / "search.toml"
    path.write_text(
        'observers = ["tensorboard"]\n[observer_options.tensorboard]\nfolder = "runs"\n'
    )
    config = ExperimentConfig.from_toml(path)
    (observer,) = make_observers(config, tmp_path)
    assert isinstance(observer, TensorBoardObserver)
    assert (observer.folder, observer.home) == (Path("runs"), tmp_path)
    one = watched()
    one.config = msgspec.structs.replace(one.config, max_trials=2, observers=["tensorboard"])
    one.run()
    assert in_tensorboard(one.folder / "tensorboard") == reported(one)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('seed = 1\nobservers = ["tensorbord"]', ":2: no observer 'tensorbord' .*'tensorboard'"),
        (
            'observers = ["mlflow"]\n[observer_options.mlflow]\nuri = "x"',
            ":3: observer 'mlflow' has no option 'uri' \\(it has: tracking_uri, experiment\\)",
        ),
    ],
)
def test_a_wrong_name_or_option_is_refused_with_its_line(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "search.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        make_observers(ExperimentConfig.from_toml(path), tmp_path)


def test_options_of_an_observer_that_is_not_named_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mlflow'"):
        ExperimentConfig(observers=["mlflow"], observer_options={"mlflw": {}})


@pytest.mark.parametrize(
    ("module", "make", "extra"),
    [("tensorboardX", TensorBoardObserver, "tensorboard"), ("mlflow", MLflowObserver, "mlflow")],
)
def test_without_the_extra_the_command_is_named(
    module: str, make: Any, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'nas-search\[{extra}\]'"):
        make()


def test_an_observer_that_can_not_write_hurts_nothing(watched, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder is to be")
    one = watched(observers=[TensorBoardObserver(tmp_path / "taken")])
    with pytest.warns(RuntimeWarning, match="TensorBoardObserver raised in nas_trial_started"):
        assert one.run() == "all 8 trials are done"
    assert len(one.trials) == 8
