"""The laws of the loop: order, reproducibility, ends, resuming."""

import random
import time
from dataclasses import replace

import msgspec
import pytest
from nas_core import Architecture, Space
from nas_search import Experiment, ReplayError, StoreError, TooManyFailuresError
from nas_search.proposals import Proposals
from nas_search.store import TrialStore, is_stored
from nas_search.strategies import GridSearch, RandomSearch, RegularizedEvolution, StrategyError


class Told:
    """Proposes at random and notes what it knew at each proposal."""

    def __init__(self):
        self.known = []

    def start(self, space, directions):
        self.inner = RandomSearch(seed=1)
        self.inner.start(space, directions)
        self.told = []

    def propose(self, n):
        self.known.append(list(self.told))
        return self.inner.propose(n)

    def tell(self, architecture, outcome):
        self.told.append((architecture["width"], outcome.status))
        self.inner.tell(architecture, outcome)


def test_each_proposal_knows_exactly_the_trials_before_the_lookahead(experiment, widths):
    strategy = Told()
    one = experiment(strategy=strategy, max_trials=12, lookahead=3)
    one.run()
    for number, known in enumerate(strategy.known):
        assert [width for width, _ in known] == widths(one)[: max(0, number - 2)]


def test_the_architectures_do_not_depend_on_the_concurrency(experiment, widths):
    def slow_for_some(width):
        time.sleep(0.05 * (width % 3))
        if width % 5 == 0:
            raise ValueError("five")
        return width

    evolution = RegularizedEvolution(population_size=5, sample_size=3, seed=0)
    found, metrics = [], []
    for number, options in enumerate(
        [{}, {"executor": "local"}, {"executor": "local", "trial_concurrency": 4}]
    ):
        one = experiment(slow_for_some, evolution, name=f"e{number}", max_trials=20, **options)
        assert one.run() == "all 20 trials are done"
        found.append(widths(one))
        metrics.append([trial.metrics for trial in one.trials])
    assert found[0] == found[1] == found[2]
    assert metrics[0] == metrics[1] == metrics[2]
    assert len(set(found[0])) == 20


def test_ctrl_c_puts_back_what_ran_and_resume_finds_the_same(experiment, widths, tmp_path):
    whole = experiment(name="whole")
    whole.run()
    calls = []

    def interrupted(width):
        calls.append(width)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return width

    one = experiment(interrupted, name="one")
    with pytest.raises(KeyboardInterrupt):
        one.run()
    before = one.trials
    assert [trial.state for trial in before] == ["completed"] * 6
    assert one.resume() == "all 12 trials are done"
    assert one.trials[:6] == before
    assert widths(one) == widths(whole)
    assert [t.seed for t in one.trials] == [t.seed for t in whole.trials]
    assert len(calls) == 13


def test_it_is_resumed_from_its_folder_alone(experiment, widths):
    whole = experiment(name="whole", max_trials=10)
    whole.run()
    experiment(name="part", max_trials=5).run()
    opened = Experiment.open(whole.folder.parent / "part")
    opened.config = msgspec.structs.replace(opened.config, max_trials=10)
    opened.resume()
    assert widths(opened) == widths(whole)
    assert opened.export_top_models(1) == [{"width": max(widths(whole))}]


def test_a_resume_with_less_than_is_done_says_what_is_there(experiment):
    experiment(max_trials=3).run()
    assert experiment(max_trials=2).resume() == "3 trials are done, and max_trials is 2"


def test_a_changed_experiment_is_not_resumed(experiment):
    experiment(max_trials=3).run()
    with pytest.raises(StoreError) as raised:
        experiment(max_trials=4, seed=1, strategy=GridSearch()).resume()
    message = str(raised.value)
    assert "seed was 0 and is 1" in message
    assert "strategy was RandomSearch(seed=0) and is GridSearch()" in message


def test_a_strategy_without_a_seed_is_found_out(experiment):
    class Unseeded(RandomSearch):
        def start(self, space, directions):
            super().start(space, directions)
            self._rng = random.Random()

        def __repr__(self):
            return "Unseeded()"

    experiment(max_trials=10, strategy=Unseeded()).run()
    with pytest.raises(ReplayError, match=r"is stored with .* now proposes"):
        experiment(max_trials=20, strategy=Unseeded()).resume()


def test_run_refuses_an_experiment_that_exists(experiment):
    experiment(max_trials=3).run()
    with pytest.raises(StoreError, match=r"exists already, with 3 trials.*resume.*another name"):
        experiment(max_trials=3).run()


def test_one_that_has_just_been_made_is_gone_on_with(experiment, url, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrialStore, "begin_session", killed)
        with pytest.raises(KeyboardInterrupt):
            experiment(max_trials=3, store=url).run()
    one = experiment(max_trials=3, store=url)
    assert is_stored(one.address)
    assert one.run() == "all 3 trials are done"


def test_resume_refuses_what_is_not_there(experiment):
    experiment(max_trials=1, name="digits").run()
    with pytest.raises(StoreError, match="no experiment here; did you mean 'digits'"):
        experiment(name="digit").resume()
    assert not experiment(name="digit").folder.exists()


def test_a_space_that_is_exhausted_ends_it(experiment):
    one = experiment(max_trials=100, strategy=GridSearch())
    assert one.run().endswith("after 40 trials")
    assert "exhausted" in one.resume()
    assert len(one.trials) == 40


class Repeating:
    """Proposes the same again and again."""

    def start(self, space, directions):
        self.space, self.outcomes = space, []

    def propose(self, n):
        return [self.space.default()]

    def tell(self, architecture, outcome):
        self.outcomes.append(outcome)


def test_a_strategy_that_repeats_itself_is_told_and_ended(experiment):
    strategy = Repeating()
    one = experiment(strategy=strategy)
    assert "known architectures 200 times" in one.run()
    assert len(one.trials) == 1
    assert {outcome.status for outcome in strategy.outcomes} == {"duplicate"}


def test_a_duplicate_carries_the_metrics_once_they_are_told(experiment):
    strategy = Repeating()
    one = experiment(max_trials=1)
    one.run()
    space = Space.of(one.base_model)
    proposals = Proposals(strategy, space, {"value": "maximize"})
    first = proposals.next()
    assert proposals.next() is None
    assert strategy.outcomes[-1].values is None
    proposals.tell(replace(one.trials[0], architecture=first))
    proposals.next()
    assert strategy.outcomes[-1].values == (one.trials[0].metrics["value"],)


@pytest.mark.parametrize(
    "proposed", [None, 3, {"width": 1}, Architecture({"width": 1}), "width", [None], ["width"]]
)
def test_a_proposal_that_is_no_list_of_architectures_is_named(experiment, proposed):
    class Mine(GridSearch):
        def propose(self, n):
            return proposed

    one = experiment(strategy=Mine())
    with pytest.raises(StrategyError, match=r"strategy \(Mine\) must give a list of arch"):
        one.run()


def test_a_proposal_outside_of_the_space_is_the_fault_of_the_strategy(experiment):
    class Mine(GridSearch):
        def propose(self, n):
            return [{"widht": 1}]

    with pytest.raises(
        StrategyError, match=r"strategy \(Mine\) proposed what is not an arch"
    ) as told:
        experiment(strategy=Mine()).run()
    assert "unknown label 'widht'; did you mean 'width'?" in str(told.value)


def test_failures_in_a_row_stop_it_before_the_budget_is_gone(experiment):
    def broken(width):
        raise FileNotFoundError("data.csv")

    one = experiment(broken, max_trials=40, max_failures_in_a_row=4)
    with pytest.raises(TooManyFailuresError, match=r"4 trials in a row failed.*data\.csv"):
        one.run()
    assert len(one.trials) == 4
    with pytest.raises(TooManyFailuresError, match=r"^trial 0 failed with: .*data\.csv"):
        experiment(broken, name="strict", max_failures_in_a_row=1).run()
    patient = experiment(broken, name="patient", max_trials=14, max_failures_in_a_row=None)
    patient.run()
    assert len(patient.trials) == 14


def test_max_seconds_stops_workers_and_puts_back(experiment):
    one = experiment(
        lambda width: time.sleep(0 if width % 2 else 60) or width,
        executor="local", max_trials=30, trial_concurrency=2, max_seconds=3,
    )  # fmt: skip
    assert one.run().startswith("the time is up: 3 s")
    assert all(trial.architecture["width"] % 2 for trial in one.trials)  # the others slept
    assert {trial.state for trial in one.trials} <= {"completed"}


def test_of_several_reports_of_a_step_the_last_is_kept_and_each_is_told(experiment):
    from nas_search.evaluators import FunctionEvaluator

    seen = []

    class Watching:
        def nas_trial_reported(self, experiment, number, step, metrics):
            seen.append((number, step, metrics["loss"]))

        def nas_experiment_finished(self, experiment, reason):
            seen.append(reason)

    def reporting(model, report):
        report(0, {"loss": 1.0})
        report(1, {"loss": 0.9})
        report(1, {"loss": 0.5})
        return 1.0

    evaluator = FunctionEvaluator(reporting)
    one = experiment(evaluator=evaluator, observers=[Watching()], max_trials=2)
    one.run()
    assert [(report.step, report.metrics["loss"]) for report in one.trials[0].reports] == [
        (0, 1.0), (1, 0.5),
    ]  # fmt: skip
    told = [(0, 1.0), (1, 0.9), (1, 0.5)]
    trials = [(number, *report) for number in (0, 1) for report in told]
    assert seen == [*trials, "all 2 trials are done"]


def test_an_observer_that_raises_is_not_told_again_and_hurts_nobody(experiment):
    calls = []

    class Bad:
        def nas_trial_started(self, experiment, number, architecture):
            calls.append(number)
            raise RuntimeError("no display")

    one = experiment(observers=[Bad()], max_trials=3)
    with pytest.warns(RuntimeWarning, match="observer Bad raised in nas_trial_started") as caught:
        one.run()
    assert len(caught) == 1
    assert calls == [0]
    assert len(one.trials) == 3
