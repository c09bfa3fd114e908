"""All that decides how numbers are rounded, besides what is computed."""

from __future__ import annotations

import os
import platform
from functools import cache
from hashlib import sha256
from pathlib import Path

import torch

import nas_engine_cgo

__all__ = ["surroundings"]

_LIBRARIES = ("ATEN_", "DNNL_", "GOMP_", "KMP_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_", "TORCH_")
"""How the variables begin by which torch and its libraries are told which kernels to take."""
_PROCESSOR = ("vendor_id", "cpu family", "model", "stepping", "cache size", "flags", "CPU ",
              "Features")  # fmt: skip
"""How the lines of ``/proc/cpuinfo`` begin that say which kernels there are."""


def surroundings() -> str:
    """What is equal where equal calls of torch give equal bits.

    >>> surroundings() == surroundings()
    True
    """
    settings = (
        torch.get_num_threads(),
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.backends.mkldnn.enabled,
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
    )
    return f"{_machine()}\n{settings}"


@cache
def _machine() -> str:
    """The processor, torch, and this engine."""
    chosen = sorted(item for item in os.environ.items() if item[0].startswith(_LIBRARIES))
    parts = (
        platform.machine(), platform.processor(), _processor(),
        torch.__version__, torch.__config__.show(), torch.backends.cpu.get_cpu_capability(),
        chosen, nas_engine_cgo.__version__, _sources(),
    )  # fmt: skip
    return "\n".join(map(str, parts))


def _processor() -> str:
    try:
        first, *_ = Path("/proc/cpuinfo").read_text().split("\n\n")
    except OSError:
        return ""
    return "\n".join(line for line in first.splitlines() if line.startswith(_PROCESSOR))


def _sources() -> str:
    """What tells the code of this engine from that of another day."""
    root = Path(__file__).parents[1]
    digest = sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
