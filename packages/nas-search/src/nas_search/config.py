"""What an experiment is told besides the model: from Python, or from a TOML file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from nas_core.errors import Place, nearest

from nas_search import cluster_options
from nas_search.cluster_options import CLUSTERS
from nas_search.errors import PlacedError
from nas_search.toml_lines import line_of

__all__ = ["ConfigError", "ExperimentConfig", "StrategyConfig", "key_place"]


EXECUTORS = ("local", "inline", *CLUSTERS)


class ConfigError(PlacedError):
    """A configuration can't be used."""


class StrategyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy by its name (or target), with the options of its constructor.

    In TOML the options stand beside the name: ``[strategy]``, ``name = "tpe"``, ``seed = 1``;
    without any ``strategy = "tpe"`` will do.
    """

    name: str = "random"
    options: dict[str, Any] = {}


class ExperimentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about an experiment that is no Python object. Keys of the TOML file, too.

    Attributes:
        name: the experiment's; its folder is ``directory/name``.
        directory: where experiments are kept, relative to the working directory.
        execution_engine: the name of an installed engine.
        engine_options: option → value, for engines that have any; a table in TOML.
        max_trials: the budget: how many different architectures are tried.
        max_seconds: the time that one run or resume may take. Trials that still run then are put
            back, for a resume to run them.
        trial_concurrency: how many jobs run at once.
        trial_time_limit: seconds after which a trial is stopped and has failed; with
            ``executor="inline"`` nothing can stop it.
        threads_per_trial: how many threads torch uses in a worker; by default the cores divided
            by ``trial_concurrency``. Results on CPU depend on it: set it where they must be the
            same for any concurrency.
        seed: of the trials, and of a strategy made from this configuration.
        lookahead: trial *k* is proposed when exactly the outcomes of trials 0 to
            *k - lookahead* have been told, so that the architectures are the same for any
            ``trial_concurrency`` up to it. By default 8, or ``trial_concurrency`` if that is more.
        max_failures_in_a_row: so many failed trials, one after the other, end the run: something
            is wrong with more than the candidates. ``None``: go on whatever happens.
        executor: ``"local"`` worker processes, a cluster of ``"ray"`` or ``"dask"``, or
            ``"inline"`` in this process, for debugging.
        executor_options: what a cluster is asked for, a table in TOML: ``address`` (without one it
            is started on this machine), per trial ``cpus``, ``gpus``, ``memory`` in bytes and
            ``resources`` by name, and the ``patience`` in seconds to wait for it.
        objectives: metric → ``"maximize"`` or ``"minimize"``, the main one first; by default
            those of the evaluator.
        pruner: ends trials early that compare badly with others at the same step, by its name:
            one of ``nas_search.pruning.pruner_names()``. Needs ``nas-search[optuna]``.
        pruner_options: the options of its class in ``optuna.pruners``; also ``metric``, which it
            looks at in the reports (the objective, unless there are several), and ``direction``,
            for a metric that is no objective.
        observers: who is told of trials, by name: ``"progress"``, ``"tensorboard"``,
            ``"mlflow"``, or targets of your own.
        observer_options: observer → its options; a table for each in TOML.
        save_weights: keep the trained weights of ``"all"`` trials that complete, or ``"none"``.
        store: the URL of a PostgreSQL database to keep the trials in, such as
            ``"postgresql+psycopg://user@host/database"``, for many machines; by default they are
            in a file in the experiment's folder. A password in it is neither shown nor stored;
            better leave it to ``~/.pgpass`` or ``PGPASSWORD``.
        artifacts: where the weights go: a folder, or a URL that fsspec reaches, such as
            ``"s3://bucket/folder"``, with one of the experiment's name in it; by default the
            experiment's folder.
        model: target of the model space, for TOML (see ``load_target``).
        evaluator: target of the evaluator, for TOML.
        strategy: the strategy, for TOML.
        root: the folder that targets are relative to; ``from_toml`` sets it to the file's.
        file: the TOML file, for messages; ``from_toml`` sets it.

    >>> ExperimentConfig(max_trials=20).lookahead_or_default
    8
    >>> ExperimentConfig(max_trials=0)
    Traceback (most recent call last):
    nas_search.config.ConfigError: max_trials must be a whole number >= 1, not 0
    """

    name: str = "experiment"
    directory: str = "nas-experiments"
    execution_engine: str = "py"
    engine_options: dict[str, Any] = {}
    max_trials: int = 50
    max_seconds: float | None = None
    trial_concurrency: int = 1
    trial_time_limit: float | None = None
    threads_per_trial: int | None = None
    seed: int = 0
    lookahead: int | None = None
    max_failures_in_a_row: int | None = 10
    executor: str = "local"
    executor_options: dict[str, Any] = {}
    objectives: dict[str, str] = {}
    pruner: str | None = None
    pruner_options: dict[str, Any] = {}
    observers: list[str] = []
    observer_options: dict[str, dict[str, Any]] = {}
    save_weights: str = "all"
    store: str | None = None
    artifacts: str | None = None
    model: str | None = None
    evaluator: str | None = None
    strategy: StrategyConfig = StrategyConfig()
    root: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        self._spell_paths()
        for key in ("max_trials", "trial_concurrency"):
            _require_count(key, getattr(self, key))
        for key in ("lookahead", "threads_per_trial", "max_failures_in_a_row"):
            if getattr(self, key) is not None:
                _require_count(key, getattr(self, key))
        for key in ("max_seconds", "trial_time_limit"):
            _require_positive(key, getattr(self, key))
        _require_whole("seed", self.seed)
        for key, accepted in (("executor", EXECUTORS), ("save_weights", ("all", "none"))):
            _require_one_of(key, getattr(self, key), accepted)
        _require_no(cluster_options.problems(self.executor, self.executor_options))
        for metric, direction in self.objectives.items():
            _require_one_of(f"objectives.{metric}", direction, ("maximize", "minimize"))
        for observer in self.observer_options:
            _require_named(observer, self.observers)
        _require_places(self.store, self.artifacts)
        if not _is_folder_name(self.name):
            raise ConfigError(
                "name must be usable as the name of a folder, and in a shell: without '/', line "
                f"breaks and the like, and a leading '-', and not too long; not {self.name[:80]!r}"
            )
        if self.lookahead_or_default < self.trial_concurrency:
            raise ConfigError(
                f"lookahead = {self.lookahead} is less than trial_concurrency = "
                f"{self.trial_concurrency}: so many trials could never run at once"
            )

    def _spell_paths(self) -> None:
        for key in ("directory", "artifacts", "root", "file"):
            if isinstance(path := getattr(self, key), os.PathLike):
                msgspec.structs.force_setattr(self, key, os.fspath(path))

    def __repr__(self) -> str:
        changed = self.without_password()
        fields = ((name, getattr(changed, name)) for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"

    def without_password(self) -> ExperimentConfig:
        """The same as it may be shown and stored."""
        if self.store is None:
            return self
        from nas_search.store.address import parsed, public

        return msgspec.structs.replace(self, store=public(parsed(self.store)))

    @property
    def folder(self) -> Path:
        """The folder of the experiment."""
        return Path(self.directory) / self.name

    @property
    def lookahead_or_default(self) -> int:
        """The lookahead that counts."""
        return self.lookahead or max(8, self.trial_concurrency)

    @classmethod
    def from_toml(cls, path: str | Path) -> ExperimentConfig:
        """Read a TOML file.

        Raises:
            ConfigError: there is no such file, it is no TOML, or a key or value is not accepted.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            values = tomllib.loads(text)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{path}: can't be read: {reason}") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"this is no TOML: {error}", _place(path, str(error))) from None
        return _converted(path, text, values)


def _converted(path: Path, text: str, values: dict[str, Any]) -> ExperimentConfig:
    known = [key for key in ExperimentConfig.__struct_fields__ if key not in ("root", "file")]
    for key in values:
        if key not in known:
            message = f"unknown key {key!r}{nearest(key, known)}"
            raise ConfigError(
                f"{message} (there are: {', '.join(known)})", Place(str(path), line_of(text, key))
            )
    strategy = values.get("strategy")
    if isinstance(strategy, str):
        values["strategy"] = {"name": strategy}
    if isinstance(strategy, dict):
        options = {key: value for key, value in strategy.items() if key not in ("name", "options")}
        named = {key: value for key, value in strategy.items() if key == "name"}
        given = strategy.get("options", {})
        values["strategy"] = {**named, "options": {**given, **options}}
    try:
        places = {"root": str(path.parent.absolute()), "file": str(path)}
        return msgspec.convert({**values, **places}, ExperimentConfig, strict=True)
    except (msgspec.ValidationError, ConfigError) as error:
        message, _, where = in_words(error).partition(" - at `")
        key = where.rstrip("`") or message.split(" ")[0].rstrip(":")
        shown = f"{key}: {message}" if where else message
        raise ConfigError(shown, Place(str(path), line_of(text, *key.split(".")))) from None


def in_words(error: Exception) -> str:
    """What a value is not, in the words of TOML: msgspec names the types of JSON.

    >>> in_words(ValueError("Expected `object | null`, got `array` - at `$.objectives[...]`"))
    'Expected `table`, got `array` - at `objectives`'
    """
    text = str(error).replace(" | null", "").replace("`object`", "`table`")
    return text.replace("`$.", "`").replace("[...]", "")


def key_place(config: ExperimentConfig, *path: str) -> Place | None:
    """Where the file says the key of this path, if the configuration is from one."""
    try:
        return Place(config.file, line_of(Path(config.file).read_text(encoding="utf-8"), *path))
    except (OSError, UnicodeDecodeError):
        return None


def _place(path: Path, message: str) -> Place:
    found = re.search(r"line (\d+)", message)
    return Place(str(path), int(found.group(1)) if found else 1)


def _require_count(key: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{key} must be a whole number >= 1, not {value!r}")


def _require_whole(key: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{key} must be a whole number, not {value!r}")


def _is_folder_name(name: str) -> bool:
    """Whether a folder may have this name, and a command may be given it.

    >>> [_is_folder_name(name) for name in ("digits 2", "", "..", "a/b", "-rf", "a\\nb", "x" * 256)]
    [True, False, False, False, False, False, False]
    """
    return (
        name not in ("", "..")
        and Path(name).name == name
        and name.isprintable()
        and not name.startswith("-")
        and len(name.encode()) < 256
    )


def _require_positive(key: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Longer than that, and waiting for it overflows.
    if value is not None and not (number and 0 < value <= 1e9):  # type: ignore[operator]
        raise ConfigError(
            f"{key} must be a number of seconds above 0 and at most 1e9, not {value!r}; "
            "without it there is no limit"
        )


def _require_named(observer: str, observers: Sequence[str]) -> None:
    if observer not in observers:
        there = f"observers = [{', '.join(map(repr, observers))}]"
        raise ConfigError(
            f"observer_options.{observer} is for an observer that is not in {there}"
            f"{nearest(observer, observers)}"
        )


def _require_places(store: str | None, artifacts: str | None) -> None:
    if store is not None:
        from nas_search.store.address import parsed

        try:
            parsed(store)
        except ValueError as error:
            raise ConfigError(f"store: {error}") from None
    if artifacts is not None and re.search(r"://[^/@]*:[^/@]*@", artifacts):
        raise ConfigError(
            "artifacts must not have a password in it, which would be stored: fsspec reads it from "
            "~/.config/fsspec, or the service's own configuration"
        )


def _require_no(problems: Iterator[str]) -> None:
    for problem in problems:
        raise ConfigError(problem)


def _require_one_of(key: str, value: object, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        names = " or ".join(map(repr, accepted))
        raise ConfigError(f"{key} must be {names}, not {value!r}{nearest(str(value), accepted)}")


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between two descriptions, a line each.

    >>> differences({"seed": "0", "engine": "py"}, {"seed": "1", "engine": "py"})
    ['seed was 0 and is 1']
    """
    keys = dict.fromkeys([*before, *now])
    return [
        f"{key} was {before.get(key, 'absent')} and is {now.get(key, 'absent')}"
        for key in keys
        if before.get(key) != now.get(key)
    ]
