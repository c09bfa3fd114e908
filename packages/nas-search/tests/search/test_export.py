"""The best trials and their models."""

import random

import pytest
import torch
from nas_core import Architecture
from nas_core.errors import UnsupportedFormatError
from nas_search import StoreError, Trial, TrialStore
from nas_search.evaluators import FunctionEvaluator
from nas_search.export import ranked
from nas_search.store.tables import trials


def trial(number, state="completed", **metrics):
    return Trial(number, Architecture({"n": number}), "", 0, state, metrics or None)


def test_one_objective():
    trials = [trial(0, x=1.0), trial(1, x=3.0), trial(2, "failed"), trial(3, x=3.0)]
    assert [t.number for t in ranked(trials, {"x": "maximize"})] == [1, 3, 0]
    assert [t.number for t in ranked(trials, {"x": "minimize"})] == [0, 1, 3]


def test_several_objectives_give_the_fronts_in_turn():
    trials = [
        trial(0, x=3.0, y=3.0), trial(1, x=1.0, y=1.0), trial(2, x=2.0, y=2.5),
        trial(3, x=3.0, y=2.0), trial(4, x=1.0, y=1.0), trial(5, x=0.5, y=9.0),
    ]  # fmt: skip
    order = ranked(trials, {"x": "maximize", "y": "minimize"})
    assert [t.number for t in order] == [3, 1, 4, 0, 2, 5]


def test_trained_weights_come_back(experiment):
    def train(model):
        with torch.no_grad():
            model.layer.weight.fill_(model.layer.out_features)
        return float(model.layer.out_features)

    one = experiment(evaluator=FunctionEvaluator(train), max_trials=5)
    one.run()
    models = one.export_top_models(3, "instance")
    dicts = one.export_top_models(3)
    assert len(models) == 3
    for model, found in zip(models, dicts, strict=True):
        width = found["width"]
        assert torch.equal(model.layer.weight, torch.full((width, 2), float(width)))
    assert len(one.export_top_models(100)) == 5


def test_what_is_drawn_and_not_saved_is_what_the_trial_had(experiment):
    import nas_core as nas
    import nas_core.nn as nn

    @nas.model_wrapper
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, nn.ValueChoice([1, 2, 3], label="width"))
            self.register_buffer("noise", torch.rand(2) + random.random(), persistent=False)

    def measure(model):
        return float(model.noise.sum())

    def measured(trial):
        (found,) = trial.metrics.values()
        return found

    one = experiment(model=Noisy(), evaluator=FunctionEvaluator(measure), max_trials=3)
    one.run()
    torch.manual_seed(7)
    random.seed(7)
    models = one.export_top_models(3, "instance")
    assert [measure(m) for m in models] == [*map(measured, one.top_trials(3))]
    drawn = torch.rand(1), random.random()
    torch.manual_seed(7)
    random.seed(7)
    assert drawn == (torch.rand(1), random.random())


def test_models_of_chosen_trials(experiment):
    def train(model):
        if model.layer.out_features == widest:
            raise ValueError("too wide")
        with torch.no_grad():
            model.layer.weight.fill_(model.layer.out_features)
        return float(model.layer.out_features)

    widest = 0
    one = experiment(evaluator=FunctionEvaluator(train), max_trials=5)
    one.run()
    chosen = [one.trials[3], one.trials[1]]
    widths = [trial.architecture["width"] for trial in chosen]
    for model, width in zip(one.export_models(chosen, "instance"), widths, strict=True):
        assert torch.equal(model.layer.weight, torch.full((width, 2), float(width)))
    assert one.export_models(chosen) == [{"width": width} for width in widths]
    widest = widths[0]
    two = experiment(evaluator=FunctionEvaluator(train), max_trials=5, name="two")
    two.run()
    with pytest.raises(StoreError, match="the weights of trial 3 are not there"):
        two.export_models([two.trials[3]], "instance")


def test_export_during_the_run(experiment):
    seen = []

    class Watching:
        def nas_trial_finished(self, experiment, trial):
            seen.append(
                [model.layer.out_features for model in one.export_top_models(1, "instance")]
            )

    one = experiment(observers=[Watching()], max_trials=4)
    one.run()
    widths = [trial.architecture["width"] for trial in one.trials]
    assert seen == [[max(widths[: n + 1])] for n in range(4)]


def test_before_anything_has_run(experiment):
    one = experiment()
    assert one.top_trials(3) == []
    assert one.export_top_models(3, "instance") == []


def test_formats_that_do_not_exist(experiment):
    one = experiment(max_trials=1)
    one.run()
    with pytest.raises(UnsupportedFormatError, match="did you mean 'instance'"):
        one.export_top_models(1, "instanse")
    with pytest.raises(UnsupportedFormatError):
        one.export_top_models(1, "code")


def test_weights_that_are_missing_or_do_not_fit(experiment, caplog):
    one = experiment(max_trials=2)
    one.run()
    best = one.top_trials(1)[0].number
    other = 1 - best
    weights = one.folder / "weights"
    (weights / f"{best}.safetensors").write_bytes((weights / f"{other}.safetensors").read_bytes())
    with pytest.raises(StoreError, match=f"{best}.safetensors: the file is damaged, or another"):
        one.export_top_models(1, "instance")
    with TrialStore.open(one.address) as store:
        unknown = trials.update().values(weights=None)  # as those of an older store are
        store._write(lambda db: db.execute(unknown))
    with pytest.raises(StoreError, match=f"weights don't fit the model of trial {best}"):
        one.export_top_models(1, "instance")
    (weights / f"{best}.safetensors").unlink()
    with pytest.raises(StoreError, match=f"weights of trial {best} are not there"):
        one.export_top_models(1, "instance")
    none = experiment(max_trials=1, name="none", save_weights="none")
    none.run()
    none.export_top_models(1, "instance")
    assert "its model is untrained" in caplog.text


def test_choices_of_the_evaluator_are_searched_and_not_given_to_the_model(experiment):
    import nas_core.nn as nn

    evaluator = FunctionEvaluator(
        lambda model, rate: rate * model.layer.out_features,
        rate=nn.ValueChoice([0.1, 10.0], label="rate"),
    )
    one = experiment(evaluator=evaluator, max_trials=6)
    one.run()
    assert all({"width", "rate"} == set(trial.architecture) for trial in one.trials)
    assert one.export_top_models(1, "instance")[0].layer.in_features == 2
