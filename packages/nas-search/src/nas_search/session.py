"""One run or resume: what is checked before it, and what it leaves behind however it ends."""

from __future__ import annotations

import logging
import re
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from nas_core import Engine, Evaluator, Space
from nas_core.errors import NasError, UnsupportedSpaceError, nearest
from nas_core.plugins import Plugins
from nas_core.protocols import CheckedEvaluator, Direction

from nas_search.artifacts import Artifacts, number_of, unfinished_name
from nas_search.config import ConfigError, ExperimentConfig, differences
from nas_search.environment import Environment
from nas_search.events import Events
from nas_search.executors import Executor, InlineExecutor
from nas_search.inputs import PicklingError, input_path, save_input
from nas_search.located import located
from nas_search.lock import locked
from nas_search.named import load_engine
from nas_search.pruning import Judging, judging_of
from nas_search.recorder import StoreRecorder
from nas_search.running import Crew, Limits, Running
from nas_search.store import (
    Address,
    Database,
    StoreError,
    StoreExistsError,
    TrialStore,
    is_stored,
    record,
)
from nas_search.strategies import Strategy
from nas_search.workers import environment_for, executor_of, isolates, require_worker, sent

if TYPE_CHECKING:
    import torch

__all__ = [
    "Ended",
    "EvaluatorError",
    "Setup",
    "objectives_of",
    "session",
]

log = logging.getLogger("nas_search")

TOKEN = "[0-9a-f]" * 12
"""How sessions and executions are called."""

UNFINISHED = unfinished_name("[0-9]*", TOKEN, TOKEN)
MARKS = f"inputs/{TOKEN}.tmp"
"""The files by which workers see that they have the folder: each is named after its session."""


class EvaluatorError(NasError, ValueError):
    """An evaluator would fail with every candidate; ``problems`` are its reasons."""

    def __init__(self, problems: Sequence[object]) -> None:
        self.problems = tuple(problems)
        super().__init__("the evaluator can't be used: " + "; ".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[EvaluatorError], tuple[tuple[object, ...]]]:
        return type(self), (self.problems,)


@dataclass(frozen=True)
class Setup:
    """Everything that a session is made of."""

    config: ExperimentConfig
    folder: Path
    address: Address
    artifacts: Artifacts
    base_model: torch.nn.Module
    evaluator: Evaluator
    strategy: Strategy
    space: Space
    plugins: Plugins
    observers: Sequence[object]
    executor: Executor | None
    given_pruner: object
    given_space: object


@dataclass
class Ended:
    """Why a session has ended, in words."""

    reason: str = ""


@contextmanager
def session(setup: Setup) -> Iterator[tuple[Running, Ended]]:
    """A session of an experiment, ready to run trials.

    At its end the workers are stopped and trials that ran are put back, so that a resume runs
    them again. After ``kill -9`` the next session finds them as running, and does the same.
    """
    config, token, ended = setup.config, uuid.uuid4().hex[:12], Ended()
    engine = _engine(setup)
    judging = _judging(setup)
    _require_usable(setup, judging)
    facts = _facts(setup, judging)
    with _alone(setup), ExitStack() as stack:
        store, shared = _opened(setup, facts)
        stack.enter_context(store)
        store.begin_session(token, facts)
        _remove_left(setup, store)
        for broken in setup.plugins.broken:  # What it would have observed nobody knows.
            warnings.warn(f"{broken}; the search goes on without it", RuntimeWarning, stacklevel=4)
        events = Events([*setup.observers, setup.plugins.observers])
        tell = partial(events.tell, experiment=config.name)
        executor = executor_of(config) if setup.executor is None else setup.executor
        installed = setup.plugins.engines[config.execution_engine]
        environment = _environment(setup, executor, token)
        crew = Crew(
            plan=lambda candidates: engine.plan(setup.base_model, candidates, setup.evaluator),
            merges="merged" in installed.info.capabilities,
            executor=executor,
            sent=partial(sent, config, environment),
            recorder=_recorder(setup, token, judging),
            store=store,
            folder=setup.folder.absolute(),
            tell=tell,
            shared=shared,
            objectives=tuple(objectives_of(config, setup.evaluator)),
            judging=judging,
        )
        tell("nas_experiment_started", config=config.without_password())
        ended.reason = "interrupted"
        running = Running(crew, _limits(config, executor))
        try:
            if environment is not None:
                require_worker(executor, environment)
            yield running, ended
        except Exception as error:
            ended.reason = str(error).partition("\n")[0]
            raise
        finally:
            try:
                running.cancel()
                # First, so that workers which can't be stopped from here stop their trials.
                _put_back(store, token)
            finally:
                _close(setup, crew, token)
                log.info("experiment %s ended: %s", config.name, ended.reason)
                tell("nas_experiment_finished", reason=ended.reason)


def objectives_of(config: ExperimentConfig, evaluator: Evaluator) -> dict[str, Direction]:
    """Those of the configuration, or else of the evaluator.

    Raises:
        ConfigError: neither has any.
    """
    objectives: dict[str, Any] = dict(config.objectives or getattr(evaluator, "objectives", {}))
    if not objectives:
        raise ConfigError(
            f"there is no objective: give {type(evaluator).__name__} `objectives`, or set them in "
            'the configuration, as {"accuracy": "maximize"}'
        )
    for metric, direction in objectives.items():
        if direction not in ("maximize", "minimize"):
            raise ConfigError(
                f"objective {metric!r} must be 'maximize' or 'minimize', not {direction!r}"
                f"{nearest(str(direction), ['maximize', 'minimize'])}"
            )
    return objectives


@contextmanager
def _alone(setup: Setup) -> Iterator[None]:
    """Be the only one who runs an experiment in a file; in a database there may be others."""
    if isinstance(setup.address, Database):
        yield
        return
    with locked(setup.folder):
        yield


def _opened(setup: Setup, facts: Mapping[str, str]) -> tuple[TrialStore, dict[int, Path]]:
    """The store of this experiment and no other, and the files that workers share."""
    address = setup.address
    setup.artifacts.require_usable()
    if not isinstance(address, Database):
        Artifacts(setup.folder).remove("inputs/*.tmp")
    if is_stored(address):
        with TrialStore.open(address) as store:
            _require_same(setup.folder, store.facts(), facts)
    shared = _keep_inputs(setup)
    if not is_stored(address):
        with suppress(StoreExistsError):  # Another process was faster.
            TrialStore.create(address, facts).close()
    store = TrialStore.open(address)
    try:
        _require_same(setup.folder, store.facts(), facts)
        if isinstance(address, Database):
            record(setup.folder, address)
    except BaseException:
        store.close()
        raise
    return store, shared


def _environment(setup: Setup, executor: Executor, token: str) -> Environment | None:
    """What the executor's workers must be and have; nothing if each is started for its trials."""
    if isolates(executor):
        return None
    installed = setup.plugins.engines[setup.config.execution_engine]
    return environment_for(installed.distribution, setup.folder, setup.address, token)


def _recorder(setup: Setup, token: str, judging: Judging | None) -> StoreRecorder:
    address = setup.address
    absolute = address if isinstance(address, Database) else address.absolute()
    saves = setup.config.save_weights == "all"
    return StoreRecorder(absolute, setup.artifacts.root, token, saves, judging)


def _close(setup: Setup, crew: Crew, token: str) -> None:
    """Stop the workers, and remove what they and this session have left."""
    crew.executor.shutdown()
    crew.recorder.close()
    setup.artifacts.remove(unfinished_name("*", token, "*"))
    with suppress(StoreError):
        _remove_left(setup, crew.store)
    Artifacts(setup.folder).remove(f"inputs/{token}.tmp")


def _remove_left(setup: Setup, store: TrialStore) -> None:
    """Remove what workers and sessions left that died; what runs elsewhere is not touched."""
    for name in setup.artifacts.names(UNFINISHED):
        trial = store.trial(number_of(name))
        if trial is None or trial.state != "running":
            setup.artifacts.remove(name)
    folder = Artifacts(setup.folder)
    marks = {Path(name).stem: name for name in folder.names(MARKS)}
    for session in store.dead(set(marks)):
        folder.remove(marks[session])


def _put_back(store: TrialStore, token: str) -> None:
    try:
        store.put_back(token)
    except StoreError as error:
        # The trials count as put back all the same, as after `kill -9`.
        log.warning("%s", error)


def _engine(setup: Setup) -> Engine:
    engine = load_engine(setup.config, setup.plugins)
    if problems := tuple(engine.problems(setup.base_model, setup.evaluator)):
        raise UnsupportedSpaceError(problems)
    return engine


def _judging(setup: Setup) -> Judging | None:
    config, given = setup.config, setup.given_pruner
    if config.pruner is not None and given is not None:
        raise ConfigError(f"the pruner is given twice: as {config.pruner!r}, and as {given!r}")
    with located(config):
        pruner = given if config.pruner is None else config.pruner
        objectives = objectives_of(config, setup.evaluator)
        return judging_of(pruner, config.pruner_options, objectives)


def _require_usable(setup: Setup, judging: Judging | None) -> None:
    if not isinstance(setup.evaluator, CheckedEvaluator):
        return
    wanted = dict.fromkeys(objectives_of(setup.config, setup.evaluator))
    if judging is not None:
        wanted[judging.metric] = None
    if found := tuple(setup.evaluator.problems(setup.space, tuple(wanted))):
        raise EvaluatorError(found)


def _facts(setup: Setup, judging: Judging | None) -> dict[str, str]:
    strategy = re.sub(r" at 0x[0-9a-f]+", "", repr(setup.strategy))
    return {
        "config": msgspec.json.encode(setup.config.without_password()).decode(),
        "objectives": msgspec.json.encode(objectives_of(setup.config, setup.evaluator)).decode(),
        "engine": setup.config.execution_engine,
        **{f"engine option {x!r}": repr(y) for x, y in setup.config.engine_options.items()},
        "seed": str(setup.config.seed),
        "lookahead": str(setup.config.lookahead_or_default),
        "strategy": strategy,
        **({} if judging is None else {"pruner": str(judging)}),
        **({"artifacts": setup.config.artifacts} if setup.config.artifacts else {}),
        **{f"choice {x!r}": str(choice.domain) for x, choice in setup.space.choices.items()},
        "space": setup.space.digest,
    }


def _require_same(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    variable = {"config"}
    different = differences(
        {key: value for key, value in before.items() if key not in variable},
        {key: value for key, value in now.items() if key not in variable},
    )
    if different:
        raise StoreError(
            folder,
            "what is to be resumed is not the same experiment:\n  "
            + "\n  ".join(different)
            + "\nResume it as it was, or start this one under another name",
        )


def _keep_inputs(setup: Setup) -> dict[int, Path]:
    """Write what workers share; returns object id → file."""
    shared = {}
    parts = {
        "base_model": setup.base_model,
        "evaluator": setup.evaluator,
        "strategy": setup.strategy,
        "pruner": setup.given_pruner,
        "space": setup.given_space,
    }
    for name, part in parts.items():
        if part is None:
            continue
        try:
            save_input(setup.folder, name, part)
        except PicklingError as error:
            here = setup.config.executor == "inline" and setup.executor is None
            if name in ("base_model", "evaluator") and not here:
                raise
            log.info("%s; a resume in another process must be given it", error)
        else:
            shared[id(part)] = input_path(setup.folder.absolute(), name)
    return shared


def _limits(config: ExperimentConfig, executor: Executor) -> Limits:
    return Limits(
        jobs=1 if isinstance(executor, InlineExecutor) else config.trial_concurrency,
        trials=config.max_trials,
        lookahead=config.lookahead_or_default,
        trial_seconds=config.trial_time_limit,
        deadline=None if config.max_seconds is None else time.monotonic() + config.max_seconds,
        failures_in_a_row=config.max_failures_in_a_row,
    )
