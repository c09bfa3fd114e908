"""Engines that merge candidates, and engines that have options."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nas_core import EngineInfo
from nas_core.errors import EngineOptionError
from nas_core.plugins import EngineRecord, Plugins, load_plugins
from nas_search import StoreError, work
from nas_search.division import part_of
from nas_search.executors.protocol import WorkersError
from nas_search.logs import find_log
from nas_search.strategies import GridSearch


def joined(jobs, note):
    """Several jobs as one; its class goes to workers, so it is defined in here."""

    class Together:
        """Several candidates, one after the other in one job."""

        def __init__(self, jobs, note):
            self.jobs, self.text = jobs, note

        @property
        def candidates(self):
            return tuple(candidate for job in self.jobs for candidate in job.candidates)

        def run(self, recorder):
            evaluators = {id(job.evaluator) for job in self.jobs}
            recorder.note(f"{self.text}, {len(evaluators)} evaluator")
            for job in self.jobs:
                yield from job.run(recorder)

    return Together(jobs, note)


class Merging:
    """The engine ``py``, with its jobs joined, that remembers which it planned together."""

    def __init__(self, size=0):
        self.inner, self.planned, self.size = load_plugins().engine("py"), [], size

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def configured(self, **options):
        if options.keys() - {"size"}:
            raise EngineOptionError("merging", min(options), known=["size"])
        return type(self)(**options)

    def plan(self, base_model, candidates, evaluator):
        self.planned.append([candidate.number for candidate in candidates])
        jobs = self.inner.plan(base_model, candidates, evaluator)
        return [joined(jobs, f"{len(jobs)} together, size {self.size}")]


class Notes:
    def __init__(self):
        self.heard = []

    def nas_job_noted(self, experiment, numbers, note):
        self.heard.append((numbers, note))

    def nas_trial_finished(self, experiment, trial):
        self.heard.append(trial.number)


@pytest.fixture
def merging(experiment):
    """Makes an experiment with an engine that merges, and gives both."""

    def make(**options):
        engine = Merging()
        info = EngineInfo("merging", "", frozenset({"inline", "merged"}), lambda: engine)
        found = load_plugins()
        one = experiment(execution_engine="merging", **options)
        one._plugins = Plugins(
            {**found.engines, "merging": EngineRecord(info, "test", "1", "test")},
            found.broken,
            found.disabled,
            found.observers,
        )
        return one, engine

    return make


def test_it_is_given_all_that_can_be_had_without_waiting(merging):
    one, engine = merging(max_trials=12, lookahead=8)
    one.run()
    assert engine.planned == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize(
    ("workers", "parts"),
    [
        (2, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11]]),
        (3, [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9], [10], [11]]),
    ],
)
def test_what_is_merged_depends_on_numbers_only(merging, widths, workers, parts):
    one, engine = merging(
        executor="local", trial_concurrency=workers, lookahead=8, max_trials=12, name="divided"
    )
    one.run()
    assert engine.planned == parts
    inline, _ = merging(max_trials=12, lookahead=8, name="inline")
    inline.run()
    assert widths(one) == widths(inline)
    assert [t.metrics for t in one.trials] == [t.metrics for t in inline.trials]


def breaking():
    """A function of the width after which nothing in its process can use the device any more."""

    def measure(width):
        import nas_search.work as work

        if width == 3:
            work._device_is_lost = lambda: True
        if work._device_is_lost():
            raise RuntimeError("CUDA error: device-side assert triggered")
        return width

    return measure


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_that_breaks_its_device_costs_no_other(merging, experiment, workers):
    options = {"executor": "local", "trial_concurrency": workers, "max_trials": 6}
    merged, engine = merging(fn=breaking(), strategy=GridSearch(), lookahead=6, **options)
    alone = experiment(breaking(), GridSearch(), name="alone", **options)
    for one in (merged, alone):
        assert one.run() == "all 6 trials are done"
        failed = {t.architecture["width"]: t.error for t in one.trials if t.state == "failed"}
        assert list(failed) == [3]
        assert failed[3].startswith("RuntimeError: CUDA error: device-side assert triggered")
    assert [2] in engine.planned


def test_where_no_process_is_replaced_a_broken_device_ends_the_run(experiment, monkeypatch):
    monkeypatch.setattr(work, "_device_is_lost", work._device_is_lost)
    one = experiment(breaking(), GridSearch(), max_trials=6)
    with pytest.raises(WorkersError, match="a trial has broken CUDA for its process"):
        one.run()
    assert [trial.state for trial in one.trials] == ["completed", "completed", "failed"]
    monkeypatch.undo()
    assert one.resume() == "all 6 trials are done"


class Threads:
    """An executor whose jobs end in any order."""

    def __init__(self, seed):
        self.pool, self.random = ThreadPoolExecutor(3), Random(seed)

    def submit(self, work):
        return self.pool.submit(self._run, work, self.random.random() / 20)

    def _run(self, work, seconds):
        time.sleep(seconds)
        return work()

    def shutdown(self):
        self.pool.shutdown()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_ends_first(merging, seed):
    one, engine = merging(
        executor="local", trial_concurrency=3, lookahead=7, max_trials=24, name=f"order{seed}"
    )
    one._executor = Threads(seed)
    one.run()
    assert engine.planned == [
        [0, 1, 2], [3, 4], [5, 6], [7, 8, 9], [10, 11], [12, 13],
        [14, 15, 16], [17, 18], [19, 20], [21], [22], [23],
    ]  # fmt: skip


@given(st.data())
def test_parts_can_be_had_while_those_before_run(data):
    """Each trial is in one part, and the last of a part never waits for the part itself."""
    jobs = data.draw(st.integers(1, 6))
    lookahead, trials = data.draw(st.integers(jobs, 20)), data.draw(st.integers(1, 60))
    parts = [part_of(n, lookahead=lookahead, jobs=jobs, trials=trials) for n in range(trials)]
    assert [n for part in dict.fromkeys(parts) for n in part] == list(range(trials))
    for number, part in enumerate(parts):
        assert number in part
        assert part.stop - 1 - lookahead < part.start
    assert len(set(parts[:lookahead])) == min(jobs, lookahead, trials)


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_what_a_job_notes_is_told_before_its_trials(merging, executor):
    notes = Notes()
    one, _ = merging(max_trials=4, lookahead=2, executor=executor, observers=(notes,))
    one.run()
    assert notes.heard == [
        *[((0, 1), "2 together, size 0, 1 evaluator"), 0, 1],
        *[((2, 3), "2 together, size 0, 1 evaluator"), 2, 3],
    ]


def test_options_reach_the_engine_and_a_resume_needs_the_same(merging):
    notes = Notes()
    one, _ = merging(max_trials=2, engine_options={"size": 3}, observers=(notes,))
    one.run()
    assert notes.heard[0] == ((0, 1), "2 together, size 3, 1 evaluator")
    more, _ = merging(max_trials=4, engine_options={"size": 3})
    more.resume()
    with pytest.raises(StoreError, match="engine option 'size' was 3 and is 4"):
        merging(max_trials=5, engine_options={"size": 4})[0].resume()
    with pytest.raises(StoreError, match="engine option 'size' was 3 and is absent"):
        merging(max_trials=5)[0].resume()


def test_an_option_that_there_is_not_is_refused_before_anything_starts(merging):
    one, _ = merging(engine_options={"sise": 3})
    with pytest.raises(EngineOptionError, match="did you mean 'size'"):
        one.run()
    assert not one.folder.exists()


def test_trials_of_one_job_have_one_log(merging):
    def noisy(width):
        print("width", width)
        return float(width)

    one, engine = merging(fn=noisy, executor="local", max_trials=3)
    one.run()
    (together,) = [numbers for numbers in engine.planned if len(numbers) == 3]
    logs = {find_log(one.folder, number) for number in together}
    (log,) = [each for each in logs if each is not None]
    assert len(log.read_text().splitlines()) == len(logs) * 3 == 3
