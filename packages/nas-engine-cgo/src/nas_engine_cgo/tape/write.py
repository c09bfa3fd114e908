"""A tape as straight Python code: each operator called directly, each value forgotten after use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as functional
from nas_engine_graph.defined import defined
from torch import Tensor

from nas_engine_cgo.tape.calls import Argument, Call, Tape, Value

__all__ = ["written"]

_BOUND: Mapping[str, Callable[..., Any]] = {
    "add.Tensor": torch.add,
    "add_.Tensor": Tensor.add_,
    "as_strided.default": torch.as_strided,
    "avg_pool2d.default": functional.avg_pool2d,
    "baddbmm.default": torch.baddbmm,
    "baddbmm.out": torch.baddbmm,
    "bmm.default": torch.bmm,
    "bmm.out": torch.bmm,
    "cat.default": torch.cat,
    "clone.default": torch.clone,
    "convolution.default": torch.convolution,
    "div.Tensor": torch.div,
    "expand.default": Tensor.expand,
    "mm.default": torch.mm,
    "mul.Tensor": torch.mul,
    "mul_.Tensor": Tensor.mul_,
    "native_batch_norm.default": torch.native_batch_norm,
    "new_empty_strided.default": Tensor.new_empty_strided,
    "permute.default": torch.permute,
    "relu.default": torch.relu,
    "relu_.default": torch.relu_,
    "select.int": torch.select,
    "split_with_sizes.default": torch.split_with_sizes,
    "sub.Tensor": torch.sub,
    "sum.dim_IntList": torch.sum,
    "t.default": torch.t,
    "transpose.int": torch.transpose,
    "unsqueeze.default": torch.unsqueeze,
    "view.default": Tensor.view,
}
"""Operator → a function that calls it in less time than torch's registry does."""
_INDIFFERENT = _BOUND.keys() - {"convolution.default", "native_batch_norm.default"}
"""What does the same whether gradients are enabled or not."""


def written(tape: Tape) -> Callable[..., list[Tensor]]:
    """A function of the inputs that does what the tape says, and gives its results."""
    writer = _Writer(tape)
    run = defined("run", writer.source(), writer.names, "tape")
    repeat: Callable[..., list[Tensor]] = torch.inference_mode()(run)
    return repeat


class _Writer:
    """Names for what a tape consists of, and its text."""

    def __init__(self, tape: Tape) -> None:
        self.names: dict[str, Any] = {"inf": float("inf"), "nan": float("nan")}
        self.names["set_grad_enabled"] = torch.set_grad_enabled
        self._tape = tape
        self._values: dict[Value, str] = {v: f"x{i}" for i, v in enumerate(tape.inputs)}
        self._called: dict[str, str] = {}
        self._constants: dict[int, str] = {}

    def source(self) -> str:
        """The text of the function ``run``."""
        tape, last, enabled = self._tape, _last_uses(self._tape), None
        lines = [f"def run({', '.join(self._values.values())}):"]
        for position, call in enumerate(tape.calls):
            if call.grad is not enabled and call.name not in _INDIFFERENT:
                enabled = call.grad
                lines.append(f"    set_grad_enabled({enabled})")
            lines.append(f"    {self._line(call)}")
            used = dict.fromkeys((*call.reads, *filter(None, call.outputs)))
            if gone := [self._values[value] for value in used if last[value] == position]:
                lines.append(f"    del {', '.join(gone)}")
        lines.append(f"    return {self._text(tape.results)}")
        return "\n".join(lines) + "\n"

    def _line(self, call: Call) -> str:
        named = (f"{name}={self._text(value)}" for name, value in call.kwargs.items())
        text = f"{self._function(call)}({', '.join([*map(self._text, call.args), *named])})"
        if not any(call.outputs):
            return text
        targets = [self._target(output) for output in call.outputs]
        return f"{', '.join(targets)}{',' if call.several else ''} = {text}"

    def _target(self, output: Value | None) -> str:
        if output is None:
            return "_"
        return self._values.setdefault(output, f"v{len(self._values)}")

    def _function(self, call: Call) -> str:
        if call.name not in self._called:
            name = self._called[call.name] = call.name.removesuffix(".default").replace(".", "_")
            self.names[name] = _BOUND.get(call.name, call.function)
        return self._called[call.name]

    def _text(self, argument: Argument) -> str:
        match argument:
            case Value():
                return self._values[argument]
            case list():
                return f"[{', '.join(map(self._text, argument))}]"
            case None | bool() | int() | float() | str():
                return repr(argument)
            case _:
                name = self._constants.setdefault(id(argument), f"c{len(self._constants)}")
                self.names[name] = argument
                return name


def _last_uses(tape: Tape) -> dict[Value, int]:
    """Value → the number of the last call that reads or makes it, if it is no result."""
    last = dict.fromkeys(tape.inputs, -1)
    for position, call in enumerate(tape.calls):
        for value in (*call.reads, *filter(None, call.outputs)):
            last[value] = position
    return last | {value: -1 for value in tape.results if isinstance(value, Value)}
