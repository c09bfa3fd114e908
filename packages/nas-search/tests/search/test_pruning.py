"""Pruning: what Optuna's pruners say, in every executor, and again after a crash."""

import random
import time

import msgspec
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_core import Pruned
from nas_core.errors import NasError
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.located import located
from nas_search.pruning import PrunerError, Replay, judging_of, make_pruner, pruner_names
from nas_search.pruning.replay import STUDY
from nas_search.store import Event
from nas_search.strategies import GridSearch, RandomSearch

PRUNERS = {
    "median": {"n_startup_trials": 2, "n_warmup_steps": 1},
    "percentile": {"percentile": 30.0, "n_startup_trials": 1},
    "successive_halving": {"min_resource": 1, "reduction_factor": 2},
    "hyperband": {"reduction_factor": 2},
    "threshold": {"lower": 0.2},
    "patient": {"wrapped_pruner": None, "patience": 1},
    "wilcoxon": {"p_threshold": 0.3},
}


@pytest.fixture(scope="module", autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


# ------------------------------------------------------------------ the law: Optuna's own decisions


def curves(seed, trials, steps):
    rng = random.Random(seed)
    return [[rng.random() + step * rng.random() for step in range(steps)] for _ in range(trials)]


def interleaved(seed, values, running):
    """Which trial reports next, several at once; ends come when a trial is through."""
    rng, waiting, open_ = random.Random(seed), list(range(len(values))), []
    while waiting or open_:
        while waiting and len(open_) < running:
            open_.append(waiting.pop(0))
        number = rng.choice(open_)
        if (yield number) == "end":
            open_.remove(number)


@pytest.mark.filterwarnings("ignore")  # some are experimental, and Wilcoxon's says why it can't
@pytest.mark.parametrize("name", PRUNERS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    running=st.integers(1, 4),
    direction=st.sampled_from(["maximize", "minimize"]),
    failing=st.sets(st.integers(0, 11), max_size=3),
)
def test_decisions_are_those_of_optuna(name, seed, running, direction, failing):
    values = curves(seed, trials=12, steps=6)
    pruner = make_pruner(name, PRUNERS[name])
    study = optuna.create_study(direction=direction, pruner=pruner, study_name=STUDY)
    judging = judging_of(name, PRUNERS[name], {"value": direction})
    replay, theirs, at = Replay(judging), {}, dict.fromkeys(range(12), 0)
    order = interleaved(seed, values, running)
    number, events = next(order), []
    while True:
        while len(theirs) <= number:
            theirs[len(theirs)] = study.ask()
        step, trial, ended = at[number] + 1, theirs[number], True
        value = values[number][at[number]]
        trial.report(value, step)
        events.append(Event(number, step, {"value": value}, "running"))
        replay.take(events[-1])
        expected = trial.should_prune()
        assert (number in replay._pruned) == expected
        at[number] = step
        if expected:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            events.append(Event(number, None, {}, "pruned"))
        elif number in failing and step == 2:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            events.append(Event(number, None, {}, "failed"))
        elif step == len(values[number]):
            study.tell(trial, value)
            events.append(Event(number, None, {"value": value}, "completed"))
        else:
            ended = False
        if ended:
            replay.take(events[-1])
        try:
            number = order.send("end" if ended else None)
        except StopIteration:
            break
    again = Replay(judging)
    for event in events:
        again.take(event)
    assert again._pruned == replay._pruned


# ------------------------------------------------------------------ experiments


def rises(calls=None):
    """A curve for each width; the wider the better, and the order of the first steps is the last's.

    Widths come at random, so that some of them are worse than those before.
    """

    def evaluate(model, report):
        width = model.layer.out_features
        for step in range(1, 5):
            if calls is not None:
                with open(calls, "a") as file:  # noqa: PTH123  # runs in workers
                    file.write(f"{width} {step}\n")
            report(step, {"value": width * step})
        return width * 4.0

    return FunctionEvaluator(evaluate)


def outcomes(one):
    return [
        (t.number, t.state, t.metrics, t.error, t.pruned, [r.step for r in t.reports])
        for t in one.trials
    ]


@pytest.mark.parametrize("name", ["median", "successive_halving", "hyperband"])
@pytest.mark.parametrize("executor", ["inline", "local"])
def test_trials_are_pruned_as_in_optuna(experiment, executor, name):
    one = experiment(
        evaluator=rises(), executor=executor, max_trials=20, pruner=name,
        pruner_options=PRUNERS[name],
    )  # fmt: skip
    assert one.run() == "all 20 trials are done"
    pruner = make_pruner(name, PRUNERS[name])
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name=STUDY)
    for trial in one.trials:
        theirs, width, pruned = study.ask(), trial.architecture["width"], False
        for step in range(1, 5):
            theirs.report(width * step, step)
            if pruned := theirs.should_prune():
                break
        state = optuna.trial.TrialState
        study.tell(theirs, None if pruned else width * 4.0, state.PRUNED if pruned else None)
        assert trial.state == ("pruned" if pruned else "completed")
        assert [report.step for report in trial.reports] == list(range(1, step + 1))
        if pruned:
            assert trial.pruned.startswith(f"at step {step}, with value = {width * step}, by ")
            assert trial.metrics is None
            assert trial.intermediate == {"value": width * step}
    states = [trial.state for trial in one.trials]
    assert {"pruned", "completed"} == set(states)
    assert all(trial.state == "completed" for trial in one.top_trials(20))
    weights = {int(path.stem) for path in (one.folder / "weights").iterdir()}
    assert weights == {n for n, state in enumerate(states) if state == "completed"}


def test_pruned_trials_are_no_failures(experiment):
    """Not even many in a row; and they stand between failures."""

    def evaluate(model, report):
        width = model.layer.out_features
        if width % 3 == 0:
            raise ValueError("three")
        report(1, {"value": -width})
        return -width

    one = experiment(
        evaluator=FunctionEvaluator(evaluate), strategy=GridSearch(), max_trials=30,
        max_failures_in_a_row=2, pruner="median", pruner_options={"n_startup_trials": 1},
    )  # fmt: skip
    assert one.run() == "all 30 trials are done"
    states = [trial.state for trial in one.trials]
    assert states[:6] == ["completed", "pruned", "failed", "pruned", "pruned", "failed"]


@pytest.mark.parametrize("name", ["median", "successive_halving", "hyperband"])
def test_a_resumed_run_prunes_the_same(experiment, name, tmp_path):
    options = {"max_trials": 24, "pruner": name, "pruner_options": PRUNERS[name]}
    whole = experiment(evaluator=rises(), name="whole", **options)
    whole.run()
    evaluator, calls = rises(), 0
    inner = evaluator.fn

    def interrupted(model, report):
        nonlocal calls

        def counting(step, metrics):
            nonlocal calls
            calls += 1
            if calls in (9, 24, 25, 41):
                raise KeyboardInterrupt
            report(step, metrics)

        return inner(model, counting)

    evaluator.fn = interrupted
    one = experiment(evaluator=evaluator, name="one", **options)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            one.resume() if one.trials else one.run()
    assert one.resume() == "all 24 trials are done"
    assert outcomes(one) == outcomes(whole)
    assert "pruned" in {trial.state for trial in one.trials}


def test_nothing_is_pruned_without_a_pruner(experiment):
    one = experiment(evaluator=rises(), max_trials=10)
    one.run()
    assert {trial.state for trial in one.trials} == {"completed"}


def test_a_slot_is_free_at_once_and_what_was_opened_is_closed(experiment, tmp_path):
    """Also with a time limit: whoever is pruned neither waits for it nor is failed by it."""

    def evaluate(model, report):
        width = model.layer.out_features
        try:
            report(1, {"value": -width})
            time.sleep(0 if width == 1 else 30)
        except Exception:  # noqa: BLE001  # what careless code does
            return 100.0
        finally:
            (tmp_path / f"closed {width}").touch()
        return -width

    one = experiment(
        evaluator=FunctionEvaluator(evaluate), strategy=GridSearch(), executor="local",
        max_trials=4, pruner="median", pruner_options={"n_startup_trials": 1},
        trial_time_limit=20,
    )  # fmt: skip
    one.run()
    assert [trial.state for trial in one.trials] == ["completed", *["pruned"] * 3]
    assert all(trial.seconds < 15 for trial in one.trials)
    assert {path.name for path in tmp_path.glob("closed*")} == {f"closed {n}" for n in (1, 2, 3, 4)}


class Told:
    """Random search that keeps what it is told."""

    def __init__(self):
        self.told = []

    def start(self, space, directions):
        self.inner = RandomSearch(seed=1)
        self.inner.start(space, directions)

    def propose(self, n):
        return self.inner.propose(n)

    def tell(self, architecture, outcome):
        self.told.append((architecture["width"], outcome))


def test_the_strategy_is_told_what_was_reported(experiment):
    strategy = Told()
    one = experiment(
        evaluator=rises(), strategy=strategy, max_trials=20, lookahead=1,
        pruner="median", pruner_options={"n_startup_trials": 1},
    )  # fmt: skip
    one.run()
    pruned = [(width, outcome) for width, outcome in strategy.told if outcome.status == "pruned"]
    assert pruned
    for width, outcome in pruned:
        assert outcome.values is None
        assert outcome.metrics == {"value": width}
        assert outcome.reports == {1: (float(width),)}


def test_each_report_of_a_pruned_trial_is_told_once(experiment):
    class Hears:
        def __init__(self):
            self.heard = []

        def nas_trial_reported(self, experiment, number, step, metrics):
            self.heard.append((number, step))

        def nas_trial_finished(self, experiment, trial):
            self.heard.append((trial.number, trial.state))

    for executor in ("inline", "local"):
        observer = Hears()
        one = experiment(
            evaluator=rises(), executor=executor, name=executor, observers=[observer],
            max_trials=20, trial_concurrency=2,
            pruner="successive_halving", pruner_options={"min_resource": 1, "reduction_factor": 2},
        )  # fmt: skip
        one.run()
        assert "pruned" in {trial.state for trial in one.trials}
        for trial in one.trials:
            heard = [what for number, what in observer.heard if number == trial.number]
            assert heard == [*(report.step for report in trial.reports), trial.state]


# ------------------------------------------------------------------ what is given


class Every(optuna.pruners.BasePruner):
    """Prunes trials of odd numbers at step 2."""

    def prune(self, study, trial):
        return trial.number % 2 == 1 and trial.last_step == 2


def make_every():
    """A pruner of a class that no worker can import."""

    class Local(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number % 2 == 1 and trial.last_step == 2

    return Local()


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_a_pruner_of_ones_own(tmp_path, experiment, executor):
    made = experiment(evaluator=rises(), executor=executor, max_trials=4)
    one = Experiment(
        made.base_model, made.evaluator, RandomSearch(), made.config, pruner=make_every()
    )
    one.run()
    assert [trial.state for trial in one.trials] == ["completed", "pruned"] * 2
    opened = Experiment.open(one.folder)
    opened.config = msgspec.structs.replace(opened.config, max_trials=6)
    opened.resume()
    assert [trial.state for trial in opened.trials] == ["completed", "pruned"] * 3


@pytest.mark.parametrize(
    ("pruner", "options", "objectives", "message"),
    [
        ("medain", {}, {}, "no pruner 'medain' .*did you mean 'median'"),
        ("median", {"warmup": 1}, {}, "no option 'warmup' .*did you mean 'n_warmup_steps'"),
        ("median", {"n_warmup_steps": -1}, {}, "does not take .*cannot be negative"),
        ("percentile", {}, {}, "does not take .*percentile"),
        ("patient", {"patience": 1, "wrapped_pruner": "median?"}, {}, "no pruner 'median.'"),
        ("median", {"metric": "vale"}, {}, "'vale' is no objective .*did you mean 'value'"),
        ("median", {"metric": "loss", "direction": "minimise"}, {}, "did you mean 'minimize'"),
        ("median", {}, {"value": "maximize", "size": "minimize"}, "2 objectives .*say at which"),
        (Every(), {"n_warmup_steps": 1}, {}, "given as it is"),
        (3, {}, {}, "an object of a class of optuna.pruners, not 3"),
        (
            None,
            {"n_warmup_steps": 1},
            {},
            "but there is no pruner",
        ),
    ],
)
def test_what_can_not_be_used_is_refused(pruner, options, objectives, message):
    with pytest.raises(PrunerError, match=message):
        judging_of(pruner, options, objectives or {"value": "maximize"})


def test_a_metric_that_is_no_objective_needs_a_direction():
    judging = judging_of("median", {"metric": "loss", "direction": "minimize"}, {"a": "maximize"})
    assert (judging.metric, judging.direction) == ("loss", "minimize")
    two = {"a": "maximize", "b": "minimize"}
    assert judging_of("median", {"metric": "b"}, two).direction == "minimize"


@pytest.mark.parametrize("name", pruner_names())
def test_every_name_makes_a_pruner_that_says_what_it_is(name):
    one, other = (judging_of(name, PRUNERS[name], {"value": "maximize"}) for _ in range(2))
    assert str(one) == str(other)
    assert " at 0x" not in str(one)


def test_an_experiment_is_resumed_with_its_pruner(experiment):
    experiment(evaluator=rises(), max_trials=4, pruner="median").run()
    with pytest.raises(NasError, match="pruner was MedianPruner.* and is absent"):
        experiment(evaluator=rises(), max_trials=8).resume()


def test_a_metric_that_nobody_reports_is_said(experiment, caplog):
    options = {"metric": "los", "direction": "minimize"}
    one = experiment(evaluator=rises(), max_trials=4, pruner="median", pruner_options=options)
    one.run()
    assert caplog.text.count("completed without reporting 'los'") == 1


def test_the_line_of_the_file_is_said(tmp_path):
    path = tmp_path / "search.toml"
    path.write_text('model = "m:M"\npruner = "median"\n\n[pruner_options]\nn_warmup_step = 2\n')
    config = ExperimentConfig.from_toml(path)
    with pytest.raises(PrunerError) as caught, located(config):
        judging_of(config.pruner, config.pruner_options, {"value": "maximize"})
    assert str(caught.value.place) == f"{path}:5"
    path.write_text('model = "m:M"\npruner = "medium"\n')
    config = ExperimentConfig.from_toml(path)
    with pytest.raises(PrunerError) as caught, located(config):
        judging_of(config.pruner, config.pruner_options, {"value": "maximize"})
    assert str(caught.value.place) == f"{path}:2"


def test_what_an_evaluator_raises_by_itself_is_pruned_too(experiment):
    def evaluate(model):
        raise Pruned(0, "by hand")

    one = experiment(evaluator=FunctionEvaluator(evaluate), max_trials=1)
    one.run()
    assert (one.trials[0].state, one.trials[0].pruned) == ("pruned", "by hand")
