"""One optimiser over the parameters of all members, each with its own hyperparameters.

Every member, or every set of members that are told the same, has a real optimiser of torch and a
real schedule. They never take a step: they say which learning rate, momentum and so on hold now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nas_engine_cgo.state import Entry, Place
from nas_engine_cgo.train.states import Left, joined_states, laid_out, part_of
from nas_engine_cgo.train.updates import UPDATES, Each, Hyper, State

__all__ = ["FLAGS", "Group", "StackedOptimizer", "flags_of", "numbers_of"]

FLAGS = (
    "nesterov", "maximize", "amsgrad", "decoupled_weight_decay", "centered", "foreach", "fused",
    "capturable", "differentiable",
)  # fmt: skip
_NUMBERS = ("lr", "momentum", "dampening", "weight_decay", "alpha", "eps", "beta1", "beta2")

Group = Mapping[str, Any]


def flags_of(optimizer: torch.optim.Optimizer, group: int = 0) -> tuple[Any, ...]:
    """What has to be equal for two optimisers to be stacked."""
    return type(optimizer), *(optimizer.param_groups[group].get(flag) for flag in FLAGS)


def numbers_of(group: Group) -> tuple[tuple[str, float], ...]:
    """The hyperparameters of a group of an optimiser."""
    return tuple((name, values[0]) for name, values in _numbers([group]).items())


class StackedOptimizer:
    """Takes the steps of several optimisers of one class.

    Args:
        kind: that class, one of ``UPDATES``.
        entries: what is trained.
        groups: for each slot of each entry the group of its member's optimiser that it is in.
        exact: whether bits count: torch's fused kernels round in another way.
        states: what ``states()`` gave of parameters that were trained before.
    """

    def __init__(
        self,
        kind: type[torch.optim.Optimizer],
        entries: Sequence[Entry],
        groups: Sequence[Sequence[Group]],
        exact: bool,
        states: Mapping[Place, State] | None = None,
    ) -> None:
        self.entries = tuple(entries)
        self._groups = [tuple(each) for each in groups]
        self._update, self._exact = UPDATES[kind], exact
        self._states = [joined_states(entry, states or {}) for entry in entries]
        floats = all(entry.tensor.dtype in _FUSED_TYPES for entry in entries)
        counted = any(isinstance(state.get("step"), Each) for state in self._states)
        self._fused = None if exact or counted or not floats else _FUSED.get(kind)
        self._hypers: list[Hyper] = []
        self.refresh()

    def refresh(self) -> None:
        """Look up the hyperparameters: a schedule has changed them."""
        known: dict[tuple[int, ...], dict[str, list[float]]] = {}
        found: list[Hyper] = []
        for entry, groups in zip(self.entries, self._groups, strict=True):
            key = tuple(map(id, groups))
            if key not in known:
                known[key] = _numbers(groups)
            flags = {flag: groups[0].get(flag) for flag in FLAGS}
            found.append(flags | _merged(known[key], entry))
        self._hypers = found
        self._equal = all(not _differ(hyper, found[0]) for hyper in found)

    def states(self) -> dict[Place, State]:
        """The state of each parameter of each member, by itself."""
        return {
            place: {name: part_of(value, entry, i) for name, value in state.items()}
            for entry, state in zip(self.entries, self._states, strict=True)
            for i, place in enumerate(entry.slots)
        }

    @torch.inference_mode()
    def step(self, without: Collection[int] = ()) -> None:
        """Change what has a gradient, but for some members nothing."""
        found = [
            (entry.tensor, grad, state, hyper)
            for entry, state, hyper in zip(self.entries, self._states, self._hypers, strict=True)
            if (grad := self._felt(entry)) is not None
        ]
        if found and self._fused is not None and self._equal and not without:
            tensors, grads, states, hypers = zip(*found, strict=True)
            self._fused(tensors, list(map(_like, grads, tensors)), states, hypers[0])
            return
        left = [
            Left.out(entry, state, without)
            for entry, state in zip(self.entries, self._states, strict=True)
            if without and self._felt(entry) is not None
        ]
        for tensor, grad, state, hyper in found:
            self._update(tensor, grad, state, hyper)
        for each in left:
            each.put_back()

    @torch.inference_mode()
    def unscale(self, inverse: Tensor) -> Tensor:
        """Multiply the gradients of each member by a number.

        Args:
            inverse: the numbers, shape ``(members,)``.

        Returns:
            Whether some gradient of a member was not finite, shape ``(members,)``.
        """
        overflowed = torch.zeros_like(inverse)
        for entry in self.entries:
            if (grad := self._felt(entry)) is not None:
                members = torch.tensor([member for member, _ in entry.slots], device=grad.device)
                finite = entry.parts(grad).isfinite().all(1)
                overflowed.index_add_(0, members, 1 - finite.to(inverse.dtype))
                grad.mul_(entry.spread(inverse[members].to(grad.dtype)))
        return overflowed > 0

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for entry in self.entries:
            entry.tensor.grad = None

    def _felt(self, entry: Entry) -> Tensor | None:
        """The gradient of what an entry is about."""
        return entry.tensor.grad

    @torch.inference_mode()
    def clip(self, largest: Mapping[int, float], paths: Callable[[int], Iterable[str]]) -> None:
        """Scale the gradients of members down to a norm, as ``clip_grad_norm_`` does.

        Args:
            largest: member → the norm, for those whose gradients are clipped.
            paths: the parameters of a member, in their order.
        """
        norms = self._exact_norms(largest, paths) if self._exact else self._norms(largest)
        scales = {
            member: (largest[member] / (norm + 1e-6)).clamp(max=1.0)
            for member, norm in norms.items()
        }
        for entry in self.entries:
            if (grad := self._felt(entry)) is not None:
                factors = [scales.get(member, grad.new_ones(())) for member, _ in entry.slots]
                if any(member in scales for member, _ in entry.slots):
                    grad.mul_(entry.spread(torch.stack(factors).to(grad.device, grad.dtype)))

    def _norms(self, members: Iterable[int]) -> dict[int, Tensor]:
        """The norm of all gradients of each member that has some."""
        parts: dict[int, list[Tensor]] = {member: [] for member in members}
        for entry in self.entries:
            if (grad := self._felt(entry)) is not None:
                norms = torch.linalg.vector_norm(entry.parts(grad), dim=1)
                for (member, _), norm in zip(entry.slots, norms.unbind(0), strict=True):
                    if member in parts:
                        parts[member].append(norm.double())
        return {member: torch.stack(found).norm() for member, found in parts.items() if found}

    def _exact_norms(
        self, members: Iterable[int], paths: Callable[[int], Iterable[str]]
    ) -> dict[int, Tensor]:
        """The same to the bit as torch gives it: the sums are in the order of the parameters."""
        lies = {place: (e, i) for e in self.entries for i, place in enumerate(e.slots)}
        norms = {}
        for member in members:
            found = (lies[member, path] for path in paths(member) if (member, path) in lies)
            felt = ((e, i, self._felt(e)) for e, i in found)
            grads = [e.part(grad, i) for e, i, grad in felt if grad is not None]
            norms[member] = torch.nn.utils.get_total_norm([grad.contiguous() for grad in grads])
        return norms


def _differ(a: Hyper, b: Hyper) -> bool:
    return any(isinstance(a[name], Each) or a[name] != b[name] for name in a)


def _numbers(groups: Sequence[Group]) -> dict[str, list[float]]:
    """Name → the number for each slot."""
    found: dict[str, list[float]] = {}
    for name in _NUMBERS:
        if name.startswith("beta"):
            if "betas" in groups[0]:
                found[name] = [float(group["betas"][name == "beta2"]) for group in groups]
        elif name in groups[0]:
            found[name] = [float(group[name]) for group in groups]
    return found


def _merged(numbers: Mapping[str, list[float]], entry: Entry) -> dict[str, Any]:
    return {
        name: values[0]
        if len(set(values)) == 1
        else Each(torch.tensor(values, dtype=torch.float64), entry)
        for name, values in numbers.items()
    }


def _fused_sgd(
    tensors: Sequence[Tensor], grads: Sequence[Tensor], states: Sequence[State], hyper: Hyper
) -> None:
    momentum = hyper["momentum"]
    started = [not momentum or "momentum_buffer" in state for state in states]
    for there in sorted(set(started)):
        chosen = [i for i, each in enumerate(started) if each == there]
        for i in chosen if not there else ():
            states[i]["momentum_buffer"] = torch.empty_like(tensors[i])
        torch._fused_sgd_(
            [tensors[i] for i in chosen],
            [grads[i] for i in chosen],
            [states[i]["momentum_buffer"] for i in chosen] if momentum else [],
            weight_decay=hyper["weight_decay"],
            momentum=momentum,
            lr=hyper["lr"],
            dampening=hyper["dampening"],
            nesterov=bool(hyper["nesterov"]),
            maximize=bool(hyper["maximize"]),
            is_first_step=not there,
        )


def _fused_adam(
    tensors: Sequence[Tensor], grads: Sequence[Tensor], states: Sequence[State], hyper: Hyper
) -> None:
    names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if hyper["amsgrad"] else ()))
    for tensor, state in zip(tensors, states, strict=True):
        if not state:
            state |= {"step": 0, **{name: torch.zeros_like(tensor) for name in names}}
        state["step"] += 1
    counts = {state["step"] for state in states}
    steps = {count: torch.tensor(float(count), device=tensors[0].device) for count in counts}
    kernel = torch._fused_adamw_ if hyper["decoupled_weight_decay"] else torch._fused_adam_
    kernel(
        list(tensors),
        list(grads),
        [state["exp_avg"] for state in states],
        [state["exp_avg_sq"] for state in states],
        [state["max_exp_avg_sq"] for state in states] if hyper["amsgrad"] else [],
        [steps[state["step"]] for state in states],
        lr=hyper["lr"],
        beta1=hyper["beta1"],
        beta2=hyper["beta2"],
        weight_decay=hyper["weight_decay"],
        eps=hyper["eps"],
        amsgrad=bool(hyper["amsgrad"]),
        maximize=bool(hyper["maximize"]),
    )


def _like(grad: Tensor, tensor: Tensor) -> Tensor:
    """The gradient in the order in memory that the tensor has: the kernels go by address."""
    return grad if grad.stride() == tensor.stride() else laid_out(grad, tensor)


_FUSED = {
    torch.optim.SGD: _fused_sgd,
    torch.optim.Adam: _fused_adam,
    torch.optim.AdamW: _fused_adam,
}
_FUSED_TYPES = (torch.float32, torch.float64)
"""Of bfloat16, torch's kernel for momentum on a CPU makes something else."""
