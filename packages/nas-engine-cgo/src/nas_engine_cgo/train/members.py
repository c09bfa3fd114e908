"""The members of one training loop: what each is told, and what has to be equal for all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from nas_core import run_candidate
from nas_core.failure import failure_text
from nas_core.protocols import Candidate, Recorder, Result
from nas_search.evaluators import SupervisedEvaluator
from nas_search.evaluators.parts import OPTIMIZERS, LossFunction, Scheduler
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from nas_engine_cgo.members import look
from nas_engine_cgo.members.modes import changed_by_modes
from nas_engine_cgo.state import Stream
from nas_engine_cgo.train.optimizer import FLAGS, flags_of, numbers_of
from nas_engine_cgo.train.refused import RefusedError
from nas_engine_cgo.train.updates import UPDATES

__all__ = [
    "Graded",
    "Member",
    "Tutor",
    "can_be_wide",
    "cohort_key",
    "comparable",
    "is_hooked",
    "recipe_key",
    "tutors_of",
    "why_alone",
    "why_recipe_alone",
]

Recipe = SupervisedEvaluator

OWN = ("loss", "loss_options", "optimizer", "optimizer_options", "schedule", "schedule_options",
       "clip_norm", "metrics")  # fmt: skip
"""Fields of a recipe that may differ between the members of one loop."""
_NUMBERS = ("optimizer", "optimizer_options", "schedule", "schedule_options")
"""Those that say what numbers an optimiser has."""


@dataclass(eq=False)
class Member:
    """A candidate that is trained with others.

    Attributes:
        candidate: which one.
        module: its model.
        recipe: how it is trained, without open choices.
        stream: what its model draws.
    """

    candidate: Candidate
    module: nn.Module
    recipe: Recipe
    stream: Stream

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """The one that the recipe makes for the module; it takes no steps."""
        return self.recipe.make_optimizer(self.module)

    @cached_property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """Those of the module, as it was built."""
        return tuple(self.module.parameters())

    @property
    def has_frozen(self) -> bool:
        """Whether some of them are not trained."""
        return not all(parameter.requires_grad for parameter in self.parameters)

    @property
    def is_rounded(self) -> bool:
        """Whether some parameter is of a type of few bits."""
        return any(
            parameter.dtype in (torch.bfloat16, torch.float16) for parameter in self.parameters
        )

    @cached_property
    def looks(self) -> Hashable:
        """What is equal for modules that are alike, as they were built.

        They stay so: no program reads what calls of modules change besides tensors.
        """
        return look(self.module)

    def loss(self) -> Callable[..., Tensor]:
        """What is done with a batch in training."""
        return Graded(self.recipe.loss_function(self.stream.generator.device))

    def by_itself(self, recorder: Recorder) -> Result:
        """Train and measure it as if there were no others; it has not been trained yet."""

        def build() -> nn.Module:
            self.stream.elsewhere.restore()  # As the constructor has left them.
            return self.module

        return run_candidate(self.candidate, build, self.recipe, recorder)


@dataclass(frozen=True, eq=False)
class Graded:
    """The loss of a module on a batch."""

    function: LossFunction

    def __call__(self, module: nn.Module, *batch: Tensor) -> Tensor:
        *inputs, target = batch
        return self.function(module(*inputs), target)


@dataclass(eq=False)
class Tutor:
    """An optimiser and a schedule that say which hyperparameters hold for some members."""

    optimizer: torch.optim.Optimizer
    schedule: Scheduler | None
    members: list[int] = field(default_factory=list)

    def group(self, parameter: Tensor) -> dict[str, Any]:
        """The group of the optimiser that the parameter of a member is in."""
        if len(self.optimizer.param_groups) == 1:
            return self.optimizer.param_groups[0]
        for group in self.optimizer.param_groups:
            if any(each is parameter for each in group["params"]):
                return group
        raise KeyError("a parameter that the optimiser does not know")

    def move(self, metric: Callable[[], float]) -> None:
        """Let the schedule move on."""
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(metric())
        elif self.schedule is not None:
            self.schedule.step()


def why_alone(member: Member) -> str | None:
    """Why a candidate can't be trained in one loop with others; None if it can."""
    if any(map(is_lazy, (*member.parameters, *member.module.buffers()))):
        return "it has parameters whose shapes only its first batch tells"
    if any(getattr(child, "sparse", False) is True for child in member.module.modules()):
        return "it has sparse gradients"
    if (name := changed_by_modes(member.module)) is not None:
        return f"train or eval changes {name} each time"
    return _why_optimizer_alone(member)


def _why_optimizer_alone(member: Member) -> str | None:
    optimizer = member.optimizer
    if (reason := _why_unknown(type(optimizer))) is not None:
        return reason
    if is_hooked(optimizer):
        return "something else happens when the optimiser takes a step"
    for group in optimizer.param_groups:
        if group.get("capturable") or group.get("differentiable"):
            return "the optimiser is capturable or differentiable"
        if member.recipe.precision == "float16" and group.get("dampening"):
            return "with float16 first steps may be left out, after which dampening begins"
        if any(isinstance(value, Tensor) for name, value in group.items() if name != "params"):
            return "a number of the optimiser is a tensor"
    if type(optimizer) is not torch.optim.SGD and any(map(torch.is_complex, _trained(optimizer))):
        return f"{type(optimizer).__name__} takes the parts of complex numbers by themselves"
    if len({flags_of(optimizer, i) for i in range(len(optimizer.param_groups))}) > 1:
        return "the groups of the optimiser differ in more than numbers"
    known = set(map(id, _trained(optimizer)))
    if any(id(p) not in known for p in member.parameters if p.requires_grad):
        return "the optimiser is given only some of the parameters"
    return None


def why_recipe_alone(recipe: Recipe) -> str | None:
    """Why any candidate that is trained so is trained alone; None if one may have company."""
    kind = _kind_of_optimizer(recipe)
    return None if kind is None else _why_unknown(kind)


def is_hooked(optimizer: torch.optim.Optimizer) -> bool:
    """Whether steps of an optimiser do more than those of its class."""
    hooks = (
        optimizer._optimizer_step_pre_hooks,  # noqa: SLF001  There is no public way.
        optimizer._optimizer_step_post_hooks,  # noqa: SLF001
        _global_optimizer_pre_hooks,
        _global_optimizer_post_hooks,
    )
    step = vars(optimizer).get("step")  # A schedule puts one there that counts.
    return any(hooks) or (step is not None and not hasattr(step, "_wrapped_by_lr_sched"))


def _why_unknown(optimizer: type) -> str | None:
    if optimizer in UPDATES:
        return None
    return f"{optimizer.__name__} is none of {', '.join(kind.__name__ for kind in UPDATES)}"


def _trained(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def can_be_wide(members: Sequence[Member]) -> bool:
    """Whether their optimisers leave weights of zero without a gradient where they are.

    Adam and the like divide by nothing but ``eps`` there.
    """
    return all(member.recipe.optimizer_options.get("eps") != 0 for member in members)


def recipe_key(recipe: Recipe) -> Any:
    """What is equal for recipes of members that can be trained in one loop."""
    fields = {name: value for name, value in vars(recipe).items() if name not in OWN}
    shared = tuple((name, comparable(value)) for name, value in fields.items())
    moves = (recipe.schedule is None, recipe.schedule_every)
    flags = [recipe.optimizer_options.get(flag) for flag in FLAGS]
    return shared, moves, _kind_of_optimizer(recipe), comparable(flags)


def _kind_of_optimizer(recipe: Recipe) -> type | None:
    """The class of its optimiser; None if a function of the user's makes it."""
    kind = OPTIMIZERS.get(str(recipe.optimizer), recipe.optimizer)
    return kind if isinstance(kind, type) else None


def cohort_key(member: Member) -> Any:
    """What is equal for members that can be trained in one loop, of those with equal recipes."""
    recipe = member.recipe
    devices = tuple(sorted(map(str, {p.device for p in member.parameters})))
    # Where numbers of members differ, they are rounded as the parameters are.
    rounded = [getattr(recipe, name) for name in _NUMBERS] if member.is_rounded else None
    return flags_of(member.optimizer), devices, comparable(rounded)


def comparable(value: Any) -> Any:
    """Data is the same if it is the same object; settings if they are equal."""
    match value:
        case bool() | int() | float() | str() | None:
            return (type(value).__name__, value)
        case dict():
            return tuple((key, comparable(item)) for key, item in value.items())
        case list() | tuple():
            return tuple(map(comparable, value))
        case _:
            return id(value)


def tutors_of(members: Sequence[Member], moves: int | None) -> list[Tutor]:
    """The optimisers and schedules of members; those that are told the same share one.

    Raises:
        RefusedError: of those whose schedule can't be made.
    """
    tutors: dict[Any, Tutor] = {}
    refused: list[RefusedError] = []
    for number, member in enumerate(members):
        recipe, optimizer = member.recipe, member.optimizer
        key: Any = (
            comparable(recipe.optimizer), comparable(recipe.optimizer_options),
            comparable(recipe.schedule), comparable(recipe.schedule_options),
            numbers_of(optimizer.param_groups[0]),
        )  # fmt: skip
        if len(optimizer.param_groups) > 1:
            key = number
        if key not in tutors or isinstance(tutors[key].schedule, ReduceLROnPlateau):
            try:
                schedule = _schedule_of(member, moves)
            except RefusedError:
                raise
            # A schedule is anybody's code.
            except (Exception, SystemExit) as error:  # noqa: BLE001
                failure = RefusedError((number,), failure_text(error))
                failure.__cause__ = error
                refused.append(failure)
                continue
            key = number if isinstance(schedule, ReduceLROnPlateau) else key
            tutors[key] = Tutor(optimizer, schedule)
        tutors[key].members.append(number)
    RefusedError.raise_first(refused)
    return list(tutors.values())


def _schedule_of(member: Member, moves: int | None) -> Scheduler | None:
    """The schedule of a member, if it has one."""
    recipe, optimizer = member.recipe, member.optimizer
    if recipe.schedule is None or moves is None:
        return None
    schedule = recipe.make_schedule(optimizer, moves)
    # It warns where no step of the optimiser comes first: ours are taken elsewhere.
    optimizer._opt_called = True  # type: ignore[attr-defined]  # noqa: SLF001
    return schedule
