"""The merged code that is run, as a module that can be read on its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nas_engine_cgo.explain.describe import Cluster, Described
from nas_engine_cgo.explain.text import named
from nas_engine_cgo.packs import Need
from nas_engine_cgo.train.vocabulary import imports

__all__ = ["source"]

_HEADING = '''"""The merged training code of {names}.

Each function is the forward pass of a cluster up to the losses. It is run on every batch, and
differentiated by torch; one optimiser then steps over what it was given as `tensors`.

inputs    the batch: `x0_1` is part 1 of data stream 0, the target last
tensors   parameters and buffers of candidates, joined in the order and form of the comments:
            own     that of one candidate, as it is
            stack   one after the other in a new first dimension
            rows    joined along dimension 0
            matrix  a stack with the last two dimensions exchanged
            bias    a stack with a dimension of 1 after the first
streams   a `Stream` of random numbers for each candidate: `r0` is that of the first
returns   losses, those of several candidates as one tensor, as the last comment says

`m0("path")` is a submodule of the first candidate that is called as a whole; names such as `c0` are
objects that the models mention.
"""

import torch
import torch.nn.functional as F
{imports}
'''


def source(described: Described) -> str:
    """All clusters of all cohorts, each as a function."""
    numbers = [n for cohort in described.cohorts for n in cohort.numbers]
    names = named(numbers) if numbers else "no candidates"
    parts = [_HEADING.format(names=names, imports=imports())]
    parts += [
        "\n".join(
            f"# Candidate {c.number}: {c.architecture.to_json()}" for c in described.candidates
        )
    ]
    parts += [f"# Candidate {n} alone: {_line(why)}" for n, why in described.alone.items()]
    clusters = [cluster for cohort in described.cohorts for cluster in cohort.clusters]
    parts += ["\n".join(_function(i, cluster)) for i, cluster in enumerate(clusters, 1)]
    return "\n\n".join(parts)


def _function(number: int, cluster: Cluster) -> Iterator[str]:
    yield f"# Cluster {number}: candidates {_ordered((*cluster.numbers, *cluster.single))}."
    for single, why in cluster.single.items():
        yield f"# Candidate {single} is called by itself: {_line(why)}"
    if (function := cluster.function) is None:
        return
    for position, need in enumerate(function.needs):
        yield f"# p{position} = {_need(need, cluster)}"
    results = ", ".join(
        f"the losses of {_ordered(cluster.numbers[m] for m in result)}"
        for result in function.results
    )
    yield function.source.replace("def forward(", f"def cluster_{number}(", 1).rstrip()
    yield f"    # {results}\n"


def _need(need: Need, cluster: Cluster) -> str:
    """What a tensor holds; candidates with equal paths are named together."""
    by_path: dict[str, list[int]] = {}
    for member, path in need.slots:
        by_path.setdefault(path, []).append(cluster.numbers[member])
    parts = (f"{path} of {_ordered(numbers)}" for path, numbers in by_path.items())
    return f"{need.form}: {', '.join(parts)}"


def _ordered(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _line(reason: str) -> str:
    return " ".join(reason.split())
