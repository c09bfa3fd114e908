"""Wrong configurations and targets: what the messages say."""

import pickle
import sys

import msgspec
import pytest
from nas_core.errors import UnknownEngineError
from nas_search import ConfigError, Experiment, ExperimentConfig, TargetError, load_target, made
from nas_search.config import StrategyConfig
from nas_search.errors import PlacedError
from nas_search.store import StoreError
from nas_search.strategies import GridSearch, RegularizedEvolution, StrategyError

SPACE = """
import nas_core as nas
import nas_core.nn as nn
from nas_search.evaluators import FunctionEvaluator

@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, nn.ValueChoice([1, 2, 3], label="width"))

def evaluator():
    return FunctionEvaluator(lambda model: model.layer.out_features)
"""

NAMED = 'model = "space.py:Net"\n'


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "search.toml"
        path.write_text(text)
        return path

    return write


def test_a_whole_file(toml, tmp_path):
    path = toml(
        'name = "small"\nmodel = "space.py:Net"\nmax_trials = 4\nmax_seconds = 60\n'
        '[objectives]\nloss = "minimize"\n'
        '[strategy]\nname = "regularized_evolution"\npopulation_size = 5\n'
    )
    config = ExperimentConfig.from_toml(path)
    assert (config.name, config.max_trials, config.max_seconds) == ("small", 4, 60.0)
    assert config.root == str(tmp_path)
    assert config.objectives == {"loss": "minimize"}
    assert config.strategy.options == {"population_size": 5}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('name = "x"\nmax_trails = 3', 2, "unknown key 'max_trails'; did you mean 'max_trials'?"),
        ('max_trials = "many"', 1, "max_trials: Expected `int`, got `str`"),
        ('name = "x"\n\nmax_trials = 0', 3, "max_trials must be a whole number >= 1, not 0"),
        (
            'executor = "locale"',
            1,
            "executor must be 'local' or 'inline' or 'ray' or 'dask', not 'locale'; did you",
        ),
        (
            '[objectives]\naccuracy = "maximise"',
            2,
            "objectives.accuracy must be 'maximize' or 'minimize', not 'maximise'; did",
        ),
        ("trial_time_limit = -1", 1, "must be a number of seconds above 0 and at most 1e9, not -1"),
        ("max_seconds = inf", 1, "at most 1e9, not inf; without it there is no limit"),
        ("max_seconds = '1'", 1, "max_seconds: Expected `float`, got `str`"),
        ("seed = 1\n[objectives]\nloss = 1", 2, "objectives: Expected `str`, got `int`"),
        ("name = 'x'\n[strategy]\nname = 3", 3, "strategy.name: Expected `str`, got `int`"),
        (
            "seed = 1\nexecutor = 'dask'\nname = 'x'\n[executor_options]\nseed = 1",
            5,
            "executor_options.seed is unknown",
        ),
        ("strategy = 3", 1, "strategy: Expected `table`, got `int`"),
        ("trial_concurrency = 4\nlookahead = 2", 2, "lookahead = 2 is less than"),
        ("name = 'a/b'", 1, "name must be usable as the name of a folder"),
        ("name = '..'", 1, "not too long; not '..'"),
        ("name = '-rf'", 1, "a leading '-'"),
        ('name = "x"\nmax_trials = = 3', 2, "this is no TOML"),
    ],
)
def test_each_mistake_is_named_with_its_line(toml, text, line, message):
    path = toml(text)
    with pytest.raises(ConfigError) as raised:
        ExperimentConfig.from_toml(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert message in str(raised.value)


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: can't be read: No such file"):
        ExperimentConfig.from_toml(tmp_path / "none.toml")


def test_values_given_in_python_are_checked_too():
    with pytest.raises(
        ConfigError,
        match=r"executor must be 'local' or 'inline' or 'ray' or 'dask', not 'locale'; ",
    ):
        ExperimentConfig(executor="locale")
    with pytest.raises(ConfigError, match="max_trials must be a whole number >= 1, not '5'"):
        ExperimentConfig(max_trials="5")


def test_a_path_is_as_good_as_its_text(tmp_path):
    config = ExperimentConfig(directory=tmp_path, artifacts=tmp_path / "weights")
    assert config == ExperimentConfig(directory=str(tmp_path), artifacts=f"{tmp_path}/weights")
    assert msgspec.json.decode(msgspec.json.encode(config), type=ExperimentConfig) == config


def test_an_experiment_from_a_file_runs_and_resumes_from_its_folder(toml, tmp_path):
    (tmp_path / "tiny_space_of_test_config.py").write_text(SPACE)
    path = toml(
        f'directory = "{tmp_path}"\nmodel = "tiny_space_of_test_config.py:Net"\nmax_trials = 2\n'
        'evaluator = "tiny_space_of_test_config.py:evaluator"\n[strategy]\nname = "grid"\n'
    )
    experiment = Experiment.from_config(ExperimentConfig.from_toml(path))
    assert experiment.run() == "all 2 trials are done"
    opened = Experiment.open(experiment.folder)
    assert opened.resume() == "all 2 trials are done"
    assert opened.export_top_models(1) == [{"width": 2}]
    [model] = opened.export_top_models(1, "instance")
    assert model.layer.out_features == 2


def test_a_module_that_is_no_longer_found_is_said_with_what_finds_it(tmp_path, monkeypatch):
    (tmp_path / "beside_of_test_config.py").write_text(SPACE)
    monkeypatch.syspath_prepend(tmp_path)
    import beside_of_test_config as beside

    config = ExperimentConfig(directory=tmp_path / "out", executor="inline", max_trials=1)
    experiment = Experiment(beside.Net(), beside.evaluator(), GridSearch(), config)
    experiment.run()
    monkeypatch.undo()
    del sys.modules["beside_of_test_config"]
    with pytest.raises(StoreError, match="set PYTHONPATH to the folder in which the run"):
        Experiment.open(experiment.folder).resume()


def test_strategies_by_name_and_target(toml, tmp_path):
    (tmp_path / "my_strategies_of_test_config.py").write_text(
        "from nas_search.strategies import GridSearch\nclass Mine(GridSearch):\n    pass\n"
    )
    config = ExperimentConfig.from_toml(
        toml('[strategy]\nname = "my_strategies_of_test_config:Mine"')
    )
    assert isinstance(Experiment(1, 1, None, config)._input("strategy"), GridSearch)
    config = ExperimentConfig.from_toml(
        toml('seed = 3\n[strategy]\nname = "regularized_evolution"')
    )
    made_by_name = Experiment(1, 1, None, config)._input("strategy")
    assert isinstance(made_by_name, RegularizedEvolution)
    assert made_by_name.seed == 3
    config = ExperimentConfig.from_toml(toml('[strategy]\nname = "evolution"'))
    with pytest.raises(StrategyError, match="no strategy 'evolution'"):
        Experiment(1, 1, None, config).load()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("space", "neither 'module:attribute' nor 'path/to/file.py:attribute'"),
        ("spaec.py:Net", r"there is no file .*spaec\.py; did you mean 'space_t\.py'"),
        ("no_such_module_at_all:Net", "there is no module 'no_such_module_at_all'"),
        ("space_t.py:Nte", "space_t has no 'Nte'; did you mean 'Net'"),
        ("broken_t.py:Net", r"importing it raised ZeroDivisionError.*broken_t\.py:2"),
        ("broken_t:Net", "importing it raised ZeroDivisionError"),
    ],
)
def test_targets_that_cannot_be_loaded(tmp_path, target, message):
    (tmp_path / "space_t.py").write_text("class Net: pass\n")
    (tmp_path / "broken_t.py").write_text("\n1 / 0\n")
    with pytest.raises(TargetError, match=message):
        load_target(target, tmp_path)


def test_two_files_of_one_name_and_one_of_the_standard_library(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # other processes would be given this `random`
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twice_t.py").write_text(f"NAME = {name!r}\n")
    (tmp_path / "random.py").write_text("NAME = 'mine'\n")
    assert load_target("a/twice_t.py:NAME", tmp_path) == "a"
    assert load_target("b/twice_t.py:NAME", tmp_path) == "b"
    assert load_target("random.py:NAME", tmp_path) == "mine"
    assert load_target("random:randint", tmp_path)(1, 1) == 1


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a model in a subpackage, which imports relative to itself."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    files = {
        "outer_t/__init__.py": "NAME = 'outer'\n",
        "outer_t/parts.py": "WIDTH = 3\n",
        "outer_t/inner/__init__.py": "",
        "outer_t/inner/space_of_t.py": "from ..parts import WIDTH\n\ndef net(): pass\n",
        "loose/space_of_u.py": "from .parts import WIDTH\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "outer_t"]:
        del sys.modules[name]


def test_a_file_in_a_package_is_the_module_that_it_is(package):
    net = load_target("outer_t/inner/space_of_t.py:net", package)
    assert load_target("outer_t.inner.space_of_t:net", package) is net
    assert load_target("space_of_t.py:net", package / "outer_t" / "inner") is net
    assert load_target("outer_t/__init__.py:NAME", package) == "outer"
    assert "outer_t.__init__" not in sys.modules
    assert net.__module__ == "outer_t.inner.space_of_t"


def test_a_relative_import_without_a_package_says_what_to_do(package):
    with pytest.raises(TargetError, match=r"give the folder of the file an __init__\.py"):
        load_target("loose/space_of_u.py:net", package)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('model = "spaec.py:Net"', 1, r"there is no file .*spaec\.py; did you mean 'space\.py'"),
        ('\nmodel = "space.py:Nte"', 2, "did you mean 'Net'"),
        (NAMED + 'evaluator = "space.py:missing"', 2, "has no 'missing'"),
        (
            NAMED + 'evaluator = "space.py:evaluator"\n[strategy]\nname = "math:floor"',
            4,
            "can't be called",
        ),
        (
            NAMED + 'evaluator = "space.py:evaluator"\n[strategy]\nname = "math:tau"\nseed = 1',
            5,
            "takes no options: seed=1",
        ),
        (
            NAMED
            + 'evaluator = "space.py:evaluator"\nstrategy = {name = "space.py:Net", depth = 1}',
            3,
            "can't be called with depth=1",
        ),
    ],
)
def test_what_a_file_names_is_refused_with_its_line(toml, tmp_path, text, line, message):
    (tmp_path / "space.py").write_text(SPACE)
    path = toml(text)
    with pytest.raises(TargetError, match=message) as caught:
        Experiment.from_config(ExperimentConfig.from_toml(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert (caught.value.place.file, caught.value.place.line) == (str(path), line)


def test_an_option_that_the_engine_does_not_have_is_refused_with_its_line(toml, tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    path = toml(
        NAMED + f'evaluator = "space.py:evaluator"\ndirectory = "{tmp_path}"\n'
        "[engine_options]\ncluster_size = 2\n"
    )
    with pytest.raises(
        ConfigError, match=r"search\.toml:5: engine 'py' has no option 'cluster_size'"
    ):
        Experiment.from_config(ExperimentConfig.from_toml(path)).run()
    assert not (tmp_path / "experiment").exists()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            NAMED + 'evaluator = "math:floor"',
            2,
            "not be the function floor; FunctionEvaluator(floor) is one",
        ),
        ('model = "math:pi"\nevaluator = "math:tau"', 1, "must be a torch.nn.Module, not an obj"),
        (
            NAMED + 'evaluator = "space.py:evaluator"\n[strategy]\nname = "math:pi"',
            4,
            "must have the methods start, propose and tell, not be an object of the class float",
        ),
    ],
)
def test_what_a_file_names_and_can_not_be_run_is_refused_with_its_line(
    toml, tmp_path, text, line, message
):
    (tmp_path / "space.py").write_text(SPACE)
    with pytest.raises(PlacedError) as caught:
        Experiment.from_config(ExperimentConfig.from_toml(path := toml(text)))
    assert str(caught.value).startswith(f"{path}:{line}: the ")
    assert message in str(caught.value)


def test_an_engine_that_is_not_installed_is_refused_with_its_line(toml, tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    path = toml(
        NAMED + f'evaluator = "space.py:evaluator"\ndirectory = "{tmp_path}"\n'
        'execution_engine = "pyy"\n'
    )
    config = ExperimentConfig.from_toml(path)
    with pytest.raises(UnknownEngineError, match="did you mean 'py'") as caught:
        Experiment.from_config(config).run()
    assert str(caught.value).startswith(f"{path}:4: no engine 'pyy' is installed")
    assert pickle.loads(pickle.dumps(caught.value)).place == caught.value.place
    with pytest.raises(UnknownEngineError) as caught:
        Experiment.from_config(msgspec.structs.replace(config, execution_engine="graf")).run()
    assert caught.value.place is None


def test_what_is_no_longer_from_the_file_has_no_line(toml, tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    config = ExperimentConfig.from_toml(toml(NAMED))
    with pytest.raises(TargetError) as caught:
        Experiment.from_config(msgspec.structs.replace(config, model="nothing.py:Net"))
    assert caught.value.place is None


def test_a_file_that_names_no_evaluator_is_named(toml, tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    path = toml(NAMED)
    with pytest.raises(TypeError, match=r"search\.toml: no evaluator is named"):
        Experiment.from_config(ExperimentConfig.from_toml(path))


def test_a_strategy_without_options_may_be_its_name_alone(toml):
    config = ExperimentConfig.from_toml(toml('strategy = "grid"'))
    assert config.strategy == StrategyConfig("grid")
    config = ExperimentConfig.from_toml(path := toml('seed = 1\nstrategy = "gird"'))
    with pytest.raises(StrategyError, match="did you mean 'grid'") as caught:
        Experiment(1, 1, None, config)._input("strategy")
    assert str(caught.value).startswith(f"{path}:2: ")


def test_made_calls_what_needs_nothing():
    class Needs:
        def __init__(self, width):
            pass

    assert made(lambda: 3) == 3
    with pytest.raises(TargetError, match="can't be made without arguments"):
        made(Needs)


def test_nothing_given_is_said(tmp_path):
    with pytest.raises(TypeError, match="no base_model is given"):
        Experiment(None, None, None, ExperimentConfig(directory=str(tmp_path))).run()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"base_model": "Net"}, ConfigError, "must be a torch.nn.Module, not the class Net itself"),
        ({"base_model": "evaluator"}, ConfigError, "torch.nn.Module, not the function evaluator"),
        (
            {"evaluator": "Net()"},
            ConfigError,
            "the evaluator must have a method evaluate(model, *, seed, report), not be an object",
        ),
        ({"evaluator": "evaluator"}, ConfigError, "evaluator; FunctionEvaluator(evaluator) is one"),
        (
            {"evaluator": "type('Mine', (), {'evaluate': lambda self, model, seed: 1})()"},
            ConfigError,
            "the method evaluate of Mine must take (model, *, seed, report), not (model, seed)",
        ),
        ({"strategy": "Net()"}, StrategyError, "the methods start, propose and tell, not be an"),
        ({"strategy": "GridSearch"}, StrategyError, "not be the class GridSearch itself"),
        (
            {"strategy": "type('Mine', (GridSearch,), {'start': lambda self, space: None})()"},
            StrategyError,
            "the method start of Mine must take (space, directions), not (space)",
        ),
        (
            {"strategy": "type('Mine', (GridSearch,), {'tell': lambda self, one, two, x: 1})()"},
            StrategyError,
            "the method tell of Mine must take (architecture, outcome), not (one, two, x)",
        ),
        ({"space": "3"}, ConfigError, "must be a nas_core.Space, not an object of the class int"),
        (
            {"space": "nas.Space.of(nn.Linear(2, 2))"},
            ConfigError,
            "with constraints: choice 'width' was one of 1, 2, 3 and is absent",
        ),
        ({"executor": "Net()"}, ConfigError, "the methods submit and shutdown, not be an object"),
    ],
)
def test_what_can_not_be_run_is_refused_before_anything_starts(given, error, message, tmp_path):
    names = {"GridSearch": GridSearch}
    exec(SPACE, names)
    usable = {"base_model": "Net()", "evaluator": "evaluator()", "strategy": "GridSearch()"}
    inputs = {name: eval(code, names) for name, code in (usable | given).items()}
    with pytest.raises(error) as raised:
        Experiment(**inputs, config=ExperimentConfig(directory=str(tmp_path / "none"))).run()
    assert message in str(raised.value)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('name = "x"\n[strategy]\nname = "randon"', 3, "no strategy 'randon'"),
        ('[strategy]\nname = "regularized_evolution"\n\npopulaton_size = 5', 4, "'populaton_size'"),
        (
            '[strategy]\nname = "regularized_evolution"\n[strategy.options]\npopulation_size = 0',
            4,
            "population_size",
        ),
        ('strategy.name = "random"\nstrategy.sead = 1', 2, "'sead'"),
        ('max_trials = 3\nstrategy = {name = "grit"}', 2, "no strategy 'grit'"),
    ],
)
def test_what_is_wrong_with_a_strategy_has_the_line_of_the_file(toml, text, line, message):
    path = toml(text)
    with pytest.raises(StrategyError, match=message) as caught:
        Experiment(1, 1, None, ExperimentConfig.from_toml(path))._input("strategy")
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert pickle.loads(pickle.dumps(caught.value)).place == caught.value.place


def test_what_the_file_does_not_say_has_no_line(toml):
    config = ExperimentConfig.from_toml(toml('[strategy]\nname = "random"'))
    changed = msgspec.structs.replace(config, strategy=StrategyConfig("randon"))
    for wrong in (changed, ExperimentConfig(strategy=StrategyConfig("randon"))):
        with pytest.raises(StrategyError) as caught:
            Experiment(1, 1, None, wrong)._input("strategy")
        assert caught.value.place is None
