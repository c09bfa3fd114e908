"""What every test here compares: members of one merged job, and each of them by itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from nas_core import Architecture, Candidate, Recorder, Result, run_candidate
from nas_engine_cgo.exact import Verdicts
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Member, Stream
from nas_engine_cgo.train.merged import Merged
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn

TOLERANCE = 1e-9
DEVICES = ["cpu", *(["cuda:0"] if torch.cuda.is_available() else [])]
"""Where members are compared: on a GPU as well, if there is one."""
Build = Callable[[], nn.Module]


@dataclass(frozen=True)
class Alone:
    """A job of one candidate whose model comes from a function."""

    candidates: tuple[Candidate, ...]
    make: Build
    evaluator: SupervisedEvaluator

    @property
    def made(self) -> Build:
        return self.make

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return self.make().double()

    def run(self, recorder: Recorder) -> Iterator[Result]:
        (candidate,) = self.candidates
        yield run_candidate(candidate, self.build, self.evaluator, recorder)


@dataclass
class Heard:
    """What a recorder was told; it may refuse to hear of some."""

    refused: frozenset[int] = frozenset()
    reports: dict[int, list[tuple[int, dict[str, float]]]] = field(default_factory=dict)
    weights: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        if number in self.refused:
            raise OSError(f"no room for {number}")
        self.reports.setdefault(number, []).append((step, dict(metrics)))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def trained(self, number: int, model: nn.Module) -> None:
        self.weights[number] = copy.deepcopy(model.state_dict())


def jobs_of(
    builds: Sequence[Build], recipes: SupervisedEvaluator | Sequence[SupervisedEvaluator]
) -> list[Alone]:
    if isinstance(recipes, SupervisedEvaluator):
        recipes = [recipes] * len(builds)
    return [
        Alone((Candidate(number, Architecture({}), 100 + number),), build, recipe)
        for number, (build, recipe) in enumerate(zip(builds, recipes, strict=True))
    ]


def assert_as_alone(
    builds: Sequence[Build],
    recipes: SupervisedEvaluator | Sequence[SupervisedEvaluator],
    refused: frozenset[int] = frozenset(),
    options: Options | None = None,
) -> list[Result]:
    """Train members together and each alone, and compare all that is told of them."""
    jobs = jobs_of(builds, recipes)
    heard, alone = Heard(refused), Heard(refused)
    found = {
        result.number: result for result in MergedJob(tuple(jobs), options or Options()).run(heard)
    }  # type: ignore[arg-type]
    assert sorted(found) == list(range(len(jobs)))
    for number, job in enumerate(jobs):
        (expected,) = job.run(alone)
        assert_results_equal(found[number], expected)
        reports, wanted = heard.reports.get(number, []), alone.reports.get(number, [])
        assert [step for step, _ in reports] == [step for step, _ in wanted], number
        for (_, metrics), (_, others) in zip(reports, wanted, strict=True):
            assert_metrics_equal(metrics, others, number)
        assert_weights_equal(heard.weights.get(number), alone.weights.get(number), number)
    return [found[number] for number in range(len(jobs))]


def assert_results_equal(found: Result, expected: Result) -> None:
    assert found.error == expected.error, (found.details, expected.details)
    if expected.metrics is not None:
        assert found.metrics is not None
        assert_metrics_equal(found.metrics, expected.metrics, found.number)


def assert_metrics_equal(
    found: Mapping[str, float], expected: Mapping[str, float], number: int
) -> None:
    assert list(found) == list(expected), number
    for name, value in expected.items():
        same = math.isclose(found[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        assert same or (math.isnan(value) and math.isnan(found[name])), (
            f"{name} of member {number} is {found[name]!r}, alone {value!r}"
        )


def assert_weights_equal(
    found: Mapping[str, Tensor] | None, expected: Mapping[str, Tensor] | None, number: int
) -> None:
    assert (found is None) == (expected is None), number
    if found is None or expected is None:
        return
    assert list(found) == list(expected), number
    for path, tensor in expected.items():
        torch.testing.assert_close(
            found[path], tensor, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True,
            msg=lambda text, path=path: f"{path} of member {number}: {text}",
        )  # fmt: skip


def weighted(module: nn.Module, *inputs: Tensor) -> Tensor:
    """A number to which every element of the output adds in its own way."""
    output = module(*inputs)
    parts = output if isinstance(output, tuple) else (output,)
    total = torch.zeros((), dtype=torch.float64, device=parts[0].device)
    for part in parts:
        places = torch.arange(part.numel(), dtype=torch.float64, device=part.device)
        places = places.cos().reshape(part.shape)
        total = total + (part * places).sum()
    return total


class Weighted(Member):
    """A member whose loss is that number."""

    def loss(self) -> Callable[..., Tensor]:
        return weighted


def assert_steps_as_alone(
    modules: Sequence[nn.Module], *batches: Sequence[Tensor], device: str = "cpu"
) -> Merged:
    """Compare losses, gradients and buffers of some steps, and outputs after each."""
    modules = [module.to(device) for module in modules]
    batches = tuple([tensor.to(device) for tensor in batch] for batch in batches)
    alone = [copy.deepcopy(module) for module in modules]
    count = len(modules)
    streams = [Stream(torch.Generator(device).manual_seed(seed)) for seed in range(count)]
    places = dict.fromkeys((device, "cpu"))  # Some numbers are drawn on the CPU beside a GPU.
    ours = [[torch.Generator(d).manual_seed(seed) for d in places] for seed in range(count)]
    named = [
        Weighted(Candidate(i, Architecture({}), i), module, SupervisedEvaluator(train=()), stream)
        for i, (module, stream) in enumerate(zip(modules, streams, strict=True))
    ]
    merged = Merged(named, [0] * count, [range(count)], {}, None, Verdicts(), Options())
    (cluster,) = merged.clusters
    for batch in batches:
        losses = {}
        for loss, members in merged.losses(cluster, [batch]):
            losses |= zip(members, loss.reshape(-1), strict=True)
        torch.autograd.backward(list(losses.values()))
        gradients = _gradients(merged)
        for number, module in enumerate(alone):
            with _drawing(ours[number]):
                loss = weighted(module.train(), *batch)
            loss.backward()
            close(losses[number], loss, f"loss of member {number}")
            for path, parameter in module.named_parameters():
                wanted = parameter.grad if parameter.requires_grad else None
                close(gradients.get((number, path)), wanted, f"{path} of member {number}")
                parameter.grad = None
        with torch.no_grad():
            found = {}
            for output, members in merged.outputs(cluster, [(*batch, batch[0])]):
                parts = output.unbind(0) if len(members) > 1 else (output,)
                found |= zip(members, parts, strict=True)
            for number, module in enumerate(alone):
                merged.store.write_back(number)
                with _drawing(ours[number]):
                    expected = module.eval()(*batch)
                close(found[number], expected, f"output of member {number}")
                assert_weights_equal(modules[number].state_dict(), module.state_dict(), number)
    for stream, own in zip(streams, ours, strict=True):
        for drawn, expected in zip((stream.generator, stream.host), own, strict=False):
            assert torch.equal(drawn.get_state(), expected.get_state())
    return merged


def _gradients(merged: Merged) -> dict[tuple[int, str], Tensor]:
    found = {}
    for entry in merged.store.entries():
        if entry.tensor.grad is not None:
            for position, place in enumerate(entry.slots):
                found[place] = entry.part(entry.tensor.grad, position).clone()
            entry.tensor.grad = None
    return found


@contextmanager
def _drawing(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Let the global generators of these devices draw what these generators would."""
    devices = [each.device for each in generators]
    globally = [
        torch.cuda.default_generators[device.index]
        if device.type == "cuda"
        else torch.default_generator
        for device in devices
    ]
    with torch.random.fork_rng(devices=[d.index for d in devices if d.type == "cuda"]):
        for one, own in zip(globally, generators, strict=True):
            one.set_state(own.get_state())
        yield
        for one, own in zip(globally, generators, strict=True):
            own.set_state(one.get_state())


def close(found: Any, expected: Any, what: str) -> None:
    assert (found is None) == (expected is None), f"{what}: {found} instead of {expected}"
    if isinstance(expected, Tensor):
        torch.testing.assert_close(
            found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True,
            msg=lambda text: f"{what}: {text}",
        )  # fmt: skip


def fused_names(merged: Merged) -> set[str]:
    """The functions of which some call is fused for all members."""
    return {
        step.signature[0]
        for compiled in merged.code._compiled.values()
        for step in compiled.function.steps
        if step.signature is not None
        and len({member for member, _ in step.calls}) == len(merged.store.modules)
    }
