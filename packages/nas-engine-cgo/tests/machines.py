"""Random modules: lists of small operations on what others gave, as models write them.

A program is drawn once, and members are like it but in some places: so much of them is merged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from forms import IMAGE
from hypothesis import strategies as st
from operations import OPERATIONS
from torch import Tensor, nn

__all__ = ["IMAGE", "Instruction", "Machine", "members"]

_MOST = 160
"""Numbers of one sample that a value may have."""

Instruction: TypeAlias = tuple[str, int, int, int]
"""An operation, the values that it takes, and which of its forms."""


class Machine(nn.Module):
    """Runs a program; its layers are made as they are needed."""

    seen: Tensor
    table: Tensor
    count: Tensor

    def __init__(self, program: Sequence[Instruction], seed: int) -> None:
        super().__init__()
        self.program = tuple(program)
        self.layers = nn.ModuleDict()
        self.register_buffer("seen", torch.ones(()))
        self.register_buffer("table", torch.linspace(-1, 1, 8))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.frozen = nn.Parameter(torch.full((3,), 0.5), requires_grad=False)
        self.free = nn.Parameter(torch.linspace(0.2, 1.1, 5))
        self.building = True
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            self(torch.randn(4, *IMAGE))
            self.seen.fill_(1.0)
            self.count.zero_()
        self.building = False
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.reset_running_stats()

    def layer(self, number: int, make: Callable[[], nn.Module]) -> Any:
        """That of an instruction."""
        if self.building and f"l{number}" not in self.layers:
            self.layers[f"l{number}"] = make()
        return self.layers[f"l{number}"]

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for number, (name, i, j, form) in enumerate(self.program):
            forms = OPERATIONS[name]
            run = forms[form % len(forms)]
            made = run(self, number, values[i % len(values)], values[j % len(values)])
            if made.dim() < 2:
                made = made.reshape(-1, 1).expand(len(x), 1)
            if made[0].numel() > _MOST:
                made = made.flatten(1)[:, :_MOST]
            values.append(made)
        parts = [value.flatten(1).mean(1, keepdim=True).tanh() for value in values[1:]]
        return torch.cat([*parts, values[-1].flatten(1)[:, :6]], 1) * self.free.sum()


# ---------------------------------------------------------------------- what is drawn

_instructions = st.tuples(
    st.sampled_from(sorted(OPERATIONS)),
    st.one_of(st.just(-1), st.just(-1), st.integers(0, 20)),  # Mostly the last value.
    st.integers(0, 20),
    st.integers(0, 400),
)


@st.composite
def members(draw: Any) -> list[list[Instruction]]:
    """Programs that are one program but in some places."""
    program = draw(st.lists(_instructions, min_size=1, max_size=12))
    places = st.dictionaries(st.integers(0, len(program) - 1), _instructions, max_size=2)
    others = draw(st.lists(places, min_size=1, max_size=3))
    return [program] + [
        [changed.get(place, instruction) for place, instruction in enumerate(program)]
        for changed in others
    ]
