"""Executors beyond this process: each trial once, in a process of its own, whoever runs it."""

import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import forkserver, get_context

import pytest
from nas_search import ConfigError, ExperimentConfig
from nas_search.cluster_options import ClusterOptions
from nas_search.environment import Environment
from nas_search.errors import MissingExtraError
from nas_search.evaluators import FunctionEvaluator
from nas_search.executors.dask import DaskExecutor
from nas_search.executors.protocol import LostWorkerError, WorkersError
from nas_search.executors.ray import RayExecutor
from nas_search.inputs import PicklingError
from nas_search.strategies import GridSearch

pytestmark = pytest.mark.slow
EVERY = {"ray": RayExecutor, "dask": DaskExecutor}


@pytest.fixture(scope="module", params=list(EVERY))
def cluster(request):
    """An executor with two workers, started once."""
    pytest.importorskip(request.param)
    executor = EVERY[request.param](2)
    executor.submit(int).result()
    yield executor
    executor.shutdown()


class Kept:
    """An executor that a session does not end."""

    def __init__(self, executor):
        self.submit = executor.submit

    def shutdown(self):
        pass


class Twice:
    """Runs each task twice, at the same time or one after the other."""

    def __init__(self, together):
        self.pool = ThreadPoolExecutor(4)
        self.together = together

    def submit(self, fn, *args):
        if self.together:
            first, second = self.pool.submit(fn, *args), self.pool.submit(fn, *args)
            return self.pool.submit(lambda: (first.result(), second.result())[0])
        return self.pool.submit(lambda: (fn(*args), fn(*args))[0])

    def shutdown(self):
        self.pool.shutdown()


@pytest.fixture
def dangerous():
    def dangerous(width):
        import os
        import signal
        import time

        print("width", width)
        match width:
            case 2:
                raise ValueError("two")
            case 3:
                os.kill(os.getpid(), signal.SIGKILL)
            case 4:
                time.sleep(1200)
        return width

    return dangerous


def check_dangers(one):
    assert one.run() == "all 5 trials are done"
    errors = {t.architecture["width"]: t.error for t in one.trials if t.state == "failed"}
    assert errors.keys() == {2, 3, 4}
    assert "ValueError: two" in errors[2]
    assert "the worker process died: SIGKILL" in errors[3]
    assert "stopped after the time limit of 5 s" in errors[4]
    assert [t.metrics["value"] for t in one.trials if t.metrics] == [1.0, 5.0]
    assert (one.folder / "logs" / "0.log").read_text() == "width 1\n"


def test_a_trial_on_a_cluster_fails_as_a_local_one_does(experiment, cluster, dangerous):
    one = experiment(dangerous, GridSearch(), max_trials=5, trial_concurrency=2, trial_time_limit=5)
    one._executor = Kept(cluster)
    check_dangers(one)


def test_a_lost_worker_costs_no_trial(experiment, cluster, tmp_path):
    killed = tmp_path / "killed"

    def kills_its_worker_once(width):
        import multiprocessing

        if width == 1 and not killed.exists():
            killed.touch()
            os.kill(multiprocessing.parent_process().pid, signal.SIGKILL)
            time.sleep(1200)
        return width

    one = experiment(kills_its_worker_once, GridSearch(), max_trials=2)
    one._executor = Kept(cluster)
    one.run()
    assert killed.exists()
    assert [trial.metrics for trial in one.trials] == [{"value": 1.0}, {"value": 2.0}]


def test_what_runs_at_ctrl_c_is_stopped_and_put_back(experiment, cluster, tmp_path):
    process = tmp_path / "process"

    def evaluate(model, report):
        width = model.layer.out_features
        if width == 2 and not process.exists():
            process.write_text(str(os.getpid()))
            report(0, {"value": 0.0})
            time.sleep(1200)
        return float(width)

    class Interrupts:
        def nas_trial_reported(self, experiment, number, step, metrics):
            raise KeyboardInterrupt

    one = experiment(
        evaluator=FunctionEvaluator(evaluate), strategy=GridSearch(), observers=[Interrupts()],
        max_trials=3, executor="local",
    )  # fmt: skip
    one._executor = Kept(cluster)
    with pytest.raises(KeyboardInterrupt):
        one.run()
    assert [trial.state for trial in one.trials] == ["completed"]
    deadline = time.monotonic() + 600
    while lives(int(process.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert one.resume() == "all 3 trials are done"
    assert [trial.metrics["value"] for trial in one.trials] == [1.0, 2.0, 3.0]


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("name", list(EVERY))
def test_what_can_not_be_sent_is_refused_before_anything_is_started(experiment, name):
    lock = threading.Lock()

    def with_a_lock(width):
        with lock:
            return width

    one = experiment(with_a_lock, executor=name, executor_options={"address": "tcp://nowhere:1"})
    with pytest.raises(PicklingError, match="lock"):
        one.run()


def test_a_cluster_is_asked_only_for_what_it_has(cluster):
    asking = type(cluster)(1, ClusterOptions(resources={"unheard_of": 2}, patience=0.2))
    if isinstance(cluster, DaskExecutor):
        address = cluster._inner._client.scheduler.address
        asking.options = ClusterOptions(address, resources={"unheard_of": 2}, patience=5)
    with pytest.raises(WorkersError, match=r"needs.*'unheard_of': 2.*executor_options"):
        asking.submit(int)


@pytest.mark.parametrize("pool", ["threads", "forkserver", "fork"])
def test_anybodys_executor(experiment, dangerous, pool):
    one = experiment(dangerous, GridSearch(), max_trials=5, trial_concurrency=2, trial_time_limit=5)
    # As a notebook does that ran trials here before: what is forked has a fork server then.
    forkserver.ensure_running()
    one._executor = (
        ThreadPoolExecutor(2)
        if pool == "threads"
        else ProcessPoolExecutor(2, mp_context=get_context(pool))
    )
    check_dangers(one)


def test_an_executor_that_gives_no_future_is_named(experiment):
    class AtOnce:
        def submit(self, fn, *args):
            return fn(*args)

        def shutdown(self):
            pass

    one = experiment(max_trials=1)
    one._executor = AtOnce()
    with pytest.raises(
        WorkersError, match=r"submit of the executor \(AtOnce\) must give a concurr"
    ):
        one.run()


@pytest.mark.parametrize("together", [True, False])
def test_what_runs_twice_is_stored_once(experiment, together):
    def evaluate(model, report):
        for step in range(3):
            report(step, {"value": float(step)})
        return float(model.layer.out_features)

    told = []

    class Hears:
        def nas_trial_reported(self, experiment, number, step, metrics):
            told.append((number, step))

        def nas_trial_finished(self, experiment, trial):
            told.append((trial.number, "finished"))

    one = experiment(
        evaluator=FunctionEvaluator(evaluate), observers=[Hears()], max_trials=3,
        strategy=GridSearch(),
    )  # fmt: skip
    one._executor = Twice(together)
    one.run()
    assert sorted(told, key=str) == sorted(
        [(n, step) for n in range(3) for step in (0, 1, 2, "finished")], key=str
    )
    assert [trial.metrics["value"] for trial in one.trials] == [1.0, 2.0, 3.0]
    assert [len(trial.reports) for trial in one.trials] == [3, 3, 3]
    assert sorted(path.name for path in (one.folder / "weights").iterdir()) == [
        f"{n}.safetensors" for n in range(3)
    ]
    assert not list(one.folder.glob("inputs/*.tmp"))


class Loses:
    """Loses the worker of whatever it is given, after the first task."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, *args):
        self.submitted += 1
        future = Future()
        if self.submitted == 1:
            future.set_result(fn(*args))
        else:
            future.set_exception(LostWorkerError("gone"))
        return future

    def shutdown(self):
        pass


def test_a_trial_that_always_loses_its_worker_has_failed(experiment):
    one = experiment(max_trials=1, trial_concurrency=3)
    one._executor = executor = Loses()
    one.run()
    assert "LostWorkerError: gone" in one.trials[0].error
    assert executor.submitted == 4


def test_a_broken_pool_ends_the_run_in_one_error(experiment):
    def breaks_the_pool(width):
        import multiprocessing

        os.kill(multiprocessing.parent_process().pid, signal.SIGKILL)
        time.sleep(1200)

    one = experiment(breaks_the_pool, max_trials=3)
    one._executor = ProcessPoolExecutor(1, mp_context=get_context("forkserver"))
    with pytest.raises(
        WorkersError, match=r"(?s)\(ProcessPoolExecutor\) is broken.*resume with a new"
    ):
        one.run()
    assert one.trials == ()


def test_a_worker_unlike_the_coordinator_is_named(tmp_path):
    differs = Environment({"python": "2.7", "torch": "0.1", "nas-engine-none": "1"}, ())
    with pytest.raises(WorkersError, match=r"python 3\.\d+ where 2\.7.*nas-engine-none missing"):
        differs()
    blind = Environment({}, (), tmp_path / "experiment" / "inputs" / "x.tmp")
    with pytest.raises(WorkersError, match=rf"does not see the folder .*{tmp_path}/experiment:"):
        blind()
    with pytest.raises(WorkersError, match="on another machine than the experiment"):
        Environment({}, (), None, "another")()


@pytest.mark.parametrize("name", list(EVERY))
def test_a_missing_extra_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "distributed" if name == "dask" else name, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'nas-search\[{name}\]'"):
        EVERY[name](1).submit(int)


@pytest.mark.parametrize(
    ("executor", "options", "message"),
    [
        ("ray", {"adress": "x"}, "patience); did you mean 'address'?"),
        ("local", {"gpus": 1}, "is for the executors 'ray' and 'dask', not for 'local'"),
        ("dask", {"gpus": 0}, "executor_options.gpus must be a number above 0, not 0"),
        ("dask", {"address": 3}, "executor_options.address must be a text"),
        ("ray", {"resources": 3}, "executor_options.resources must be a table"),
        ("rey", {}, "did you mean 'ray'?"),
    ],
)
def test_wrong_options(executor, options, message):
    with pytest.raises(ConfigError) as raised:
        ExperimentConfig(executor=executor, executor_options=options)
    assert message in str(raised.value)


def test_a_cluster_by_its_name_in_a_configuration(experiment, caplog):
    pytest.importorskip("distributed")
    caplog.set_level(logging.INFO, "nas_search")
    one = experiment(executor="dask", max_trials=2, trial_concurrency=1)
    assert one.run() == "all 2 trials are done"
    assert {trial.state for trial in one.trials} == {"completed"}
