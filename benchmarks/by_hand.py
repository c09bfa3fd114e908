"""Training loops as anyone would write them, one model after the other; run by workers, too."""

from collections.abc import Sequence

import cloudpickle
import nas_core as nas
import torch
from cgo_workloads import OPTIMIZER, WORKLOADS, Workload
from nas_core.candidate import seed_all
from nas_core.testing import Recording
from torch.nn import functional

__all__ = ["run_pickled", "train"]


def train(
    name: str,
    numbers: Sequence[int],
    steps: int,
    *,
    device: str = "cpu",
    tuned: bool = False,
    channels_last: bool = False,
    cached: bool = False,
) -> list[float]:
    """Train candidates of a workload, and give their accuracies.

    Args:
        name: the workload.
        numbers: which candidates.
        steps: how many steps each takes.
        device: where.
        tuned: whether to use the fused optimiser, and on a GPU graphs of the passes.
        channels_last: the layout of images and of the weights of convolutions.
        cached: whether a frozen prefix is computed once, before the first candidate.
    """
    workload = WORKLOADS[name]
    base, chosen = workload.space(), workload.candidates()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    features = prefix(workload, base, device) if cached else None
    accuracies = []
    for number in numbers:
        seed_all(chosen[number].seed)
        model = nas.build(base, chosen[number].architecture).to(device, memory_format=layout)
        fit(model.head if cached else model, workload, steps, tuned, layout, features)
        accuracies.append(accuracy(model, workload, layout))
    return accuracies


def prefix(workload: Workload, base: torch.nn.Module, device: str) -> torch.Tensor:
    """Compute what the frozen prefix makes of all training inputs."""
    model = nas.build(base, workload.candidates(1)[0].architecture).to(device)
    with torch.no_grad():
        found: torch.Tensor = model.backbone(workload.data(8 * workload.batch)[0].to(device))
    return found


def fit(
    model: torch.nn.Module,
    workload: Workload,
    steps: int,
    tuned: bool,
    layout: torch.memory_format,
    features: torch.Tensor | None,
) -> None:
    """Take the steps."""
    fused = {"fused": True} if tuned else {}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, **OPTIMIZER, **fused)
    device = trained[0].device
    batches = workload.training(torch.Generator().manual_seed(0), str(device))
    if features is not None:
        batches.x = features
    if tuned and device.type == "cuda":
        x = laid_out(batches.x[: workload.batch], layout)
        # Its kernels are launched as one, in training.
        torch.cuda.make_graphed_callables(model, (x.clone(),))
    done = 0
    while done < steps:
        for x, y in batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(laid_out(x, layout)), y).backward()
            optimizer.step()
            done += 1
            if done == steps:
                break


def accuracy(model: torch.nn.Module, workload: Workload, layout: torch.memory_format) -> float:
    """Measure a model."""
    device = next(model.parameters()).device
    x, y = (tensor.to(device) for tensor in workload.data(2 * workload.batch))
    model.eval()
    with torch.no_grad():
        parts = [model(laid_out(part, layout)) for part in x.split(workload.batch)]
    return (torch.cat(parts).argmax(1) == y).float().mean().item()


def laid_out(x: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    """Give images in a layout, and anything else as it is."""
    return x.contiguous(memory_format=layout) if x.dim() == 4 else x


def run_pickled(job: bytes) -> int:
    """Run a job of an engine in a worker; give the number of its failures."""
    return sum(result.failed for result in cloudpickle.loads(job).run(Recording()))
