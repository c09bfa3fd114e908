"""What an execution engine is: the records that it is given, and the methods that it has.

An engine turns candidates into jobs. The search decides which candidates, where the jobs run, and
keeps what they yield; it knows engines only through this module, which does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from nas_core.architecture import Architecture
from nas_core.errors import Place

if TYPE_CHECKING:
    import torch

    from nas_core.space import Space

__all__ = [
    "CAPABILITIES",
    "EXPLANATIONS",
    "FORMATS",
    "GRAPH_FORMATS",
    "Candidate",
    "CheckedEvaluator",
    "Configurable",
    "Direction",
    "Draws",
    "Engine",
    "EngineInfo",
    "Evaluator",
    "Explains",
    "Job",
    "Metrics",
    "Problem",
    "Recorder",
    "Report",
    "Result",
]

Metrics: TypeAlias = Mapping[str, float]
Direction: TypeAlias = Literal["maximize", "minimize"]
Report: TypeAlias = Callable[[int, Metrics | float], None]
"""Hands over intermediate metrics, or the main objective alone: ``report(step, metrics)``.

Raises ``Pruned`` to end it all."""

CAPABILITIES: Mapping[str, str] = {
    "inline": "serves the choices that a model declares: LayerChoice, ValueChoice, ...",
    "choose": "serves nas_core.choose, which decides while the model is being built",
    "any-python": "needs nothing of the model's code: forward may be any Python",
    "mutators": "applies user-written rewrites of the model's graph",
    "export-dict": "exports the architecture as a dict",
    "export-instance": "exports a plain torch.nn.Module",
    "export-code": "exports Python source that stands alone",
    "merged": "trains several candidates in one job, as one model",
    "graph": "shows the graph of a candidate, as text and as a picture: see Draws",
    "explain": "says beforehand what it would do with candidates",
}
"""Everything that an engine may say of itself, and what it means."""

FORMATS = ("dict", "instance", "code")
"""The formats of ``Engine.export``; an engine has those of its capabilities."""

GRAPH_FORMATS = ("text", "source", "dot", "svg", "html")
"""The formats of ``Draws.draw``, all of which an engine with the capability ``graph`` has."""

EXPLANATIONS = ("text", "source", "html", "svg")
"""The formats of ``Explains.explain``."""


@dataclass(frozen=True)
class Problem:
    """One reason why an engine can't serve a model or an evaluator, or an evaluator any candidate.

    Attributes:
        message: what is wrong, and what would be accepted.
        place: the line of the user's code.
        certain: whether no engine could serve it: it is to be mended where the user wrote it.

    >>> print(Problem("forward() uses a generator", Place("net.py", 41)))
    net.py:41: forward() uses a generator
    """

    message: str
    place: Place | None = None
    certain: bool = False

    def __str__(self) -> str:
        return self.message if self.place is None else f"{self.place}: {self.message}"


@dataclass(frozen=True)
class Candidate:
    """One architecture to try, under the number of its trial, with the seed of its randomness."""

    number: int
    architecture: Architecture
    seed: int


@dataclass(frozen=True)
class Result:
    """What became of a candidate: its metrics, or why there are none.

    Attributes:
        number: that of the candidate.
        metrics: metric → value if it went well.
        error: one line that says what went wrong, and where.
        details: the traceback.
        seconds: how long it took.
        pruned: at which step, and why, it was ended before its time; the reason of ``Pruned``.

    >>> Result(3, {"accuracy": 0.97}).failed, Result(4, None, "ValueError: too wide").failed
    (False, True)
    """

    number: int
    metrics: dict[str, float] | None
    error: str | None = None
    details: str | None = None
    seconds: float = 0.0
    pruned: str | None = None

    @property
    def failed(self) -> bool:
        return self.metrics is None and self.pruned is None


class Recorder(Protocol):
    """What a running job tells the search before it has a result."""

    def report(self, number: int, step: int, metrics: Metrics) -> None:
        """Intermediate metrics of a candidate.

        Raises:
            Pruned: the candidate is to end here, with a result that says so.
        """

    def trained(self, number: int, model: torch.nn.Module) -> None:
        """The model of a candidate after its evaluation, so that its weights can be kept."""

    def note(self, text: str) -> None:
        """One line for people about how the job runs."""


class Evaluator(Protocol):
    """Trains a built model, measures it, or both.

    Its attributes may hold choices; ``run_candidate`` resolves them before it calls ``evaluate``.
    """

    @property
    def objectives(self) -> Mapping[str, Direction]:
        """Metric → direction of what is to be optimised, the main one first."""

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Report) -> Metrics | float:
        """The metrics of the model, or the value of the main objective."""


@runtime_checkable
class CheckedEvaluator(Evaluator, Protocol):
    """An evaluator that can tell before anything is trained that it would fail with any candidate.

    The method is optional: an experiment asks those that have it once, before its first trial.
    """

    def problems(self, space: Space, objectives: Sequence[str]) -> Iterator[Problem]:
        """What is wrong with it, whatever the candidate. Quick: it trains nothing.

        Args:
            space: that of the experiment, which holds the choices in its attributes.
            objectives: the metrics that the experiment optimises.
        """


class Job(Protocol):
    """A piece of work that answers for one candidate or more; cloudpickle can send it anywhere."""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Whom it answers for."""

    def run(self, recorder: Recorder) -> Iterator[Result]:
        """One result per candidate, each as soon as it is known.

        A candidate that fails is a result with an error, and one that is pruned a result with the
        reason: nothing is raised for it, and the others go on. ``nas_core.run_candidate`` does that
        for a job of one candidate.
        """


class Engine(Protocol):
    """Makes models of the points of a model space.

    ``nas_core.testing.EngineContract`` holds the tests of everything said here. A base model is an
    instance of the user's class with its choices open. An architecture given to ``build`` and
    ``export`` is a point of ``Space.of(base_model)``; that of a candidate given to ``plan`` may
    also decide choices of the evaluator.
    """

    def problems(self, base_model: torch.nn.Module, evaluator: Evaluator) -> Iterator[Problem]:
        """Why it can't serve these two; nothing if it can. It never raises for what users write."""

    def build(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any]
    ) -> torch.nn.Module:
        """The model of an architecture, in plain PyTorch, with freshly initialised weights.

        Raises:
            InvalidArchitectureError: it is no point of the space.
            UnsupportedSpaceError: there are ``problems``.
        """

    def plan(
        self, base_model: torch.nn.Module, candidates: Sequence[Candidate], evaluator: Evaluator
    ) -> Sequence[Job]:
        """Jobs that together answer once for each candidate. Quick: it trains nothing.

        Raises:
            UnsupportedSpaceError: there are ``problems``.
        """

    def export(
        self, base_model: torch.nn.Module, architecture: Mapping[str, Any], formatter: str
    ) -> dict[str, Any] | torch.nn.Module | str:
        """An architecture as ``"dict"``, as a model (``"instance"``), or as source (``"code"``).

        Raises:
            UnsupportedFormatError: not a format of this engine (see ``nas_core.formats``).
            InvalidArchitectureError: it is no point of the space.
        """


class Draws(Protocol):
    """What an engine with the capability ``graph`` can do besides."""

    def draw(
        self,
        base_model: torch.nn.Module,
        architecture: Mapping[str, Any],
        formatter: str,
        inputs: Sequence[Any] = (),
    ) -> str:
        """The graph of an architecture's model, in one of ``GRAPH_FORMATS``.

        Text, DOT and pictures name the choices that a layer comes from. SVG and HTML need nothing
        but themselves to be shown, and what labels say is text in them, whatever it is.

        Args:
            base_model: as for ``Engine.build``.
            architecture: as for ``Engine.build``.
            formatter: one of ``GRAPH_FORMATS``.
            inputs: example arguments of ``forward``, of whose tensors only shape and dtype count:
                with them shapes are shown.

        Raises:
            UnsupportedFormatError: another format, or what draws it is not installed.
            InvalidArchitectureError: it is no point of the space.
            UnsupportedSpaceError: there are ``problems``.
        """


ENGINE_METHODS = ("problems", "build", "plan", "export")
CAPABILITY_METHODS: Mapping[str, str] = {"graph": "draw"}


@runtime_checkable
class Configurable(Protocol):
    """An engine that has options; ``Plugins.engine`` hands over those that a user gives."""

    def configured(self, **options: Any) -> Engine:
        """The engine with these options in the place of its own.

        Raises:
            EngineOptionError: there is no such option, or its value is not accepted.
        """


@runtime_checkable
class Explains(Protocol):
    """An engine with the capability ``"explain"``."""

    def explain(
        self,
        base_model: torch.nn.Module,
        candidates: Sequence[Candidate],
        evaluator: Evaluator,
        formatter: str,
    ) -> str:
        """What would happen to these candidates if they were given to ``plan`` and run.

        It trains nothing, and leaves the model and the global random generators as they were.

        Args:
            base_model: as for ``plan``.
            candidates: as for ``plan``; each is named by its number.
            evaluator: as for ``plan``.
            formatter: ``"text"`` for people, the ``"source"`` of the code that would run,
                ``"html"``: a page that needs nothing from elsewhere, or ``"svg"``: a picture.

        Raises:
            UnsupportedFormatError: none of ``EXPLANATIONS``, or what draws it is not installed.
            UnsupportedSpaceError: there are ``problems``.
        """


@dataclass(frozen=True)
class EngineInfo:
    """What a plugin says of an engine, so that it can be listed without being loaded.

    Attributes:
        name: what users call it by.
        summary: what it is good for, in one line.
        capabilities: words of ``CAPABILITIES``.
        load: imports and makes the engine; heavy imports belong in there.
    """

    name: str
    summary: str
    capabilities: frozenset[str]
    load: Callable[[], Engine]
