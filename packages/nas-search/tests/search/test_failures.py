"""One bad candidate is one failed trial, whatever it does."""

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from nas_core.errors import UnknownEngineError
from nas_search import StoreError
from nas_search.evaluators import FunctionEvaluator
from nas_search.inputs import PicklingError
from nas_search.lock import runs
from nas_search.strategies import GridSearch
from nas_search.work import LoadError
from pebble import ProcessPool
from pebble.pool.process import PoolManager

pytestmark = pytest.mark.slow


def test_every_way_to_fail_is_one_failed_trial(experiment):
    def dangerous(width):
        import ctypes
        import os
        import signal
        import sys
        import time

        print("width", width)
        match width:
            case 2:
                raise ValueError("two")
            case 4:
                return float("nan")
            case 6:
                os._exit(3)
            case 8:
                os.kill(os.getpid(), signal.SIGKILL)
            case 10:
                ctypes.string_at(0)
            case 12:
                raise MemoryError("too wide")
            case 14:
                time.sleep(1200)
            case 16:
                sys.exit(5)
            case 18:
                return "wide"
        return width

    one = experiment(
        dangerous, GridSearch(), executor="local", trial_concurrency=2, max_trials=20,
        trial_time_limit=5,
    )  # fmt: skip
    assert one.run() == "all 20 trials are done"
    errors = {t.architecture["width"]: t.error for t in one.trials if t.state == "failed"}
    expected = {
        2: "ValueError: two",
        4: "returned nan for 'value'",
        6: "the worker process died: it ended itself with exit code 3",
        8: "SIGKILL (the system does this when memory runs out)",
        10: "SIGSEGV",
        12: "MemoryError: too wide",
        14: "stopped after the time limit of 5 s",
        16: "SystemExit: 5",
        18: "must return a number",
    }
    assert errors.keys() == expected.keys()
    for width, text in expected.items():
        assert text in errors[width]
    by_width = {trial.architecture["width"]: trial for trial in one.trials}
    assert "6.log" not in errors[2]
    assert f"{one.folder}/logs/{by_width[8].number}.log" in errors[8].replace("/./", "/")
    assert "Segmentation fault" in by_width[10].details
    assert 'raise ValueError("two")' in by_width[2].details
    assert [trial.metrics["value"] for trial in one.trials if trial.metrics] == [
        float(width) for width in range(1, 21) if width not in expected
    ]


def test_an_evaluator_that_cannot_be_sent_is_refused_before_anything_starts(experiment):
    evaluator = FunctionEvaluator(lambda model, lock: 1.0, lock=threading.Lock())
    one = experiment(evaluator=evaluator, executor="local")
    with pytest.raises(PicklingError, match=r"the evaluator \(FunctionEvaluator\) can't be sent"):
        one.run()
    assert one.trials == ()
    inline = experiment(evaluator=evaluator, max_trials=2)
    inline.run()
    assert len(inline.trials) == 2


def test_a_module_that_workers_cannot_import_stops_it_without_spending_trials(
    experiment, tmp_path, monkeypatch
):
    (tmp_path / "only_here.py").write_text("def measure(model):\n    return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    one = experiment(evaluator=FunctionEvaluator(only_here.measure), executor="local")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    with pytest.raises(LoadError, match=r"can't load the job: ModuleNotFoundError.*only_here"):
        one.run()
    assert one.trials == ()


def test_an_idle_worker_that_is_killed_costs_nothing(experiment):
    from nas_search.executors import LocalExecutor

    executor = LocalExecutor(workers=1, threads=1)
    worker = executor.submit(os.getpid).result()
    os.kill(worker, signal.SIGKILL)
    one = experiment(max_trials=3)
    one._executor = executor
    assert one.run() == "all 3 trials are done"
    assert {trial.state for trial in one.trials} == {"completed"}


@pytest.mark.parametrize("owner", [PoolManager, ProcessPool], ids=["on its way", "submitted"])
def test_a_job_that_comes_as_the_pool_breaks_runs_in_the_next(experiment, monkeypatch, owner):
    schedule, broken = owner.schedule, []

    def breaking(self, *args, **options):
        if not broken:
            broken.append(True)
            manager = self if owner is PoolManager else self._pool_manager
            manager.handle_broken_pool(BrokenProcessPool("All workers expired"))
        return schedule(self, *args, **options)

    monkeypatch.setattr(owner, "schedule", breaking)
    one = experiment(max_trials=2, executor="local")
    assert one.run() == "all 2 trials are done"
    assert broken
    assert [trial.state for trial in one.trials] == ["completed"] * 2


def test_a_worker_ends_with_the_process_that_started_it_even_in_a_hang(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(
        "import sys, time\n"
        "from nas_search.executors import LocalExecutor\n"
        "note = \"open(path, 'w').write(str(__import__('os').getpid()))\"\n"
        # A function called through PyDLL keeps Python's global lock.
        "hang = \"__import__('ctypes').PyDLL(None).sleep(1200)\"\n"
        "executor = LocalExecutor(1, 1)\n"
        "executor.submit(eval, f'({note}, {hang})', {'path': sys.argv[1]})\n"
        "time.sleep(1200)\n"
    )
    pid_file = tmp_path / "pid"
    main = subprocess.Popen([sys.executable, str(script), str(pid_file)])
    deadline = time.monotonic() + 600
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int(pid_file.read_text())
    time.sleep(0.3)
    main.kill()
    main.wait()
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


@pytest.mark.parametrize("raises", [False, True])
def test_a_server_that_is_started_ahead_is_the_workers_or_ends(raises):
    script = (
        "import os, sys\n"
        "from nas_search.executors.local import LocalExecutor, _server, server_ahead\n"
        "with server_ahead():\n"
        "    print(_server(), flush=True)\n"
        f"    assert not {raises}\n"
        "    executor = LocalExecutor(1, 1)\n"
        "    print(_server(), executor.submit(os.getppid).result(), flush=True)\n"
        "    executor.shutdown()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    server, *later = map(int, done.stdout.split())
    assert (later == []) if raises else (later == [server, server])
    assert (done.returncode == 1) is raises, done.stderr
    assert done.stderr.endswith("AssertionError\n") if raises else not done.stderr
    deadline = time.monotonic() + 600
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(server)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_an_unknown_engine_is_named_before_anything_is_written(experiment):
    one = experiment(execution_engine="pyy")
    with pytest.raises(UnknownEngineError, match="did you mean 'py'"):
        one.run()
    assert not one.folder.exists()


def test_a_missing_objective_is_a_failed_trial(experiment):
    one = experiment(max_trials=2, objectives={"accuracy": "maximize"})
    one.run()
    assert "no metric 'accuracy', which is an objective" in one.trials[0].error


def test_the_same_experiment_is_not_started_twice(experiment):
    def starts_it_again(width):
        with pytest.raises(StoreError, match=f"running already, in process {os.getpid()}"):
            again.resume()
        return width

    again = experiment(max_trials=2)
    one = experiment(starts_it_again, max_trials=2)
    one.run()
    assert {trial.state for trial in one.trials} == {"completed"}


def test_what_a_trial_has_started_ends_with_its_time_limit(experiment, tmp_path):
    pids = tmp_path / "pids"

    def starts_and_hangs(width):
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1200)"])
        with pids.open("a") as file:
            file.write(f"{started.pid}\n")
        time.sleep(1200)

    one = experiment(starts_and_hangs, executor="local", max_trials=2, trial_time_limit=5)
    one.run()
    assert ["time limit" in trial.error for trial in one.trials] == [True, True]
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    deadline = time.monotonic() + 600
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, started))


def test_what_a_trial_has_started_ends_with_the_coordinator(tmp_path):
    script, pid_file = tmp_path / "main.py", tmp_path / "pid"
    script.write_text(
        "import sys, time\n"
        "from nas_search.executors import LocalExecutor\n"
        "start = \"__import__('subprocess').Popen(['sleep', '1200']).pid\"\n"
        "note = f\"open(path, 'w').write(str({start}))\"\n"
        "hang = \"__import__('time').sleep(1200)\"\n"
        "executor = LocalExecutor(1, 1)\n"
        "executor.submit(eval, f'({note}, {hang})', {'path': sys.argv[1]})\n"
        "time.sleep(1200)\n"
    )
    main = subprocess.Popen([sys.executable, str(script), str(pid_file)])
    deadline = time.monotonic() + 600
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    main.kill()
    main.wait()
    started = int(pid_file.read_text())
    while alive(started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(started)


def test_workers_start_processes_as_the_main_script_does_and_know_no_file_beside_it(tmp_path):
    (tmp_path / "queue.py").write_text("raise ImportError('taken for a module of Python')\n")
    script = tmp_path / "scripts" / "main.py"
    script.parent.mkdir()
    script.write_text(
        "import multiprocessing, os\n"
        "from nas_search.executors import LocalExecutor, local\n"
        "local.PRELOAD[:] = ['torch']\n"  # which is faster than all
        "def answers():\n"
        "    executor = LocalExecutor(1, 1)\n"
        "    method = executor.submit(multiprocessing.get_start_method).result()\n"
        "    print(method, executor.submit(os.getenv, 'PYTHONSAFEPATH').result())\n"
        "    executor.shutdown()\n"
        "answers()\n"
        "multiprocessing.set_start_method('spawn', force=True)\n"
        "os.environ['PYTHONSAFEPATH'] = 'the user has set it'\n"
        "answers()\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    default = multiprocessing.get_all_start_methods()[0]
    assert done.stdout.splitlines() == [f"{default} None", "spawn the user has set it"]


def test_executors_of_several_threads_leave_the_environment_as_it_was(monkeypatch):
    from nas_search.executors import LocalExecutor, local

    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    both, entered = threading.Barrier(2, timeout=0.2), []

    def wait_for_both():
        entered.append(os.environ["PYTHONSAFEPATH"])
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()

    monkeypatch.setattr(local.forkserver, "ensure_running", wait_for_both)
    monkeypatch.setattr(local, "ProcessPool", lambda *_, initargs, **__: Environment(initargs[1]))
    monkeypatch.setattr(local._Process, "start", lambda self: None)
    monkeypatch.setattr(local._Process, "join", lambda self: None)

    class Environment:
        active = False

        def __init__(self, variables):
            self.variables = variables

        def schedule(self, fn, **_):
            future = Future()
            future.set_result(self.variables)
            return future

        def join(self):
            pass

    with ThreadPoolExecutor(2) as threads:
        futures = threads.map(lambda one: one.submit(int), [LocalExecutor(1, 1) for _ in "ab"])
        given = [future.result() for future in futures]
    assert entered == ["1", "1"]
    assert "PYTHONSAFEPATH" not in os.environ
    assert not any("PYTHONSAFEPATH" in variables for variables in given)


def test_a_fork_server_that_ends_at_once_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("raise ValueError('as it is imported')\n")
    script = tmp_path / "main.py"
    script.write_text(
        "from nas_search.executors import local\n"
        "from nas_search.executors.protocol import WorkersError\n"
        "local.PRELOAD[:] = ['broken']\n"
        "try:\n"
        "    local.LocalExecutor(1, 1).submit(len, '')\n"
        "except WorkersError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("no worker process can be started: the process that starts them")
    assert "as it is imported" in done.stderr


def test_a_fork_server_that_is_waited_for_at_ctrl_c_ends_as_well(tmp_path):
    begun, script = tmp_path / "begun", tmp_path / "main.py"
    (tmp_path / "long.py").write_text(
        f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(1200)\n"
    )
    script.write_text(
        "from nas_search.executors import local\n"
        "local.PRELOAD[:] = ['long']\n"
        "local.LocalExecutor(1, 1).submit(len, '')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    main = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    main.send_signal(signal.SIGINT)
    _, said = main.communicate(timeout=600)  # until nobody has its streams any more
    assert said.endswith(b"KeyboardInterrupt\n")


def test_a_disk_that_is_full_from_the_start_is_named(experiment, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one = experiment()
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StoreError, match=f"{one.folder}: can't be written: No space left"):
        one.run()
    assert not runs(one.folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_till_workers_know_what_to_do(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    from multiprocessing.context import ForkServerProcess

    from nas_search.executors import LocalExecutor, local

    LocalExecutor(1, 1).submit(int).result()  # The fork server is there.
    start, started = ForkServerProcess.start, []

    def interrupted(process: ForkServerProcess) -> None:
        signal.raise_signal(number)
        start(process)
        started.append(process)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    monkeypatch.setattr(ForkServerProcess, "start", interrupted)
    monkeypatch.setattr(local, "_wait_for_server", lambda _: None)
    executor = LocalExecutor(2, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            executor.submit(int)
        assert len(started) == 2
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
        executor.shutdown()
