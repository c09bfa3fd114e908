"""What merged code calls by name besides torch and what the models mention."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from nas_engine_cgo.exact.convolution import member_convolution
from nas_engine_cgo.exact.fan_out import fan_out
from nas_engine_cgo.exact.linear import member_linear
from nas_engine_cgo.exact.normalization import member_layer_norm
from nas_engine_cgo.exact.order import cat_in_order, in_order
from nas_engine_cgo.exact.values import added_up, with_values
from nas_engine_cgo.kernels import (
    FASTER,
    FASTER_TO_THE_BIT,
    few_outputs,
    in_layout,
    log_softmax_of_few,
    pointwise,
    split,
)
from nas_engine_cgo.state import drawing, dropout_masks, ordered

__all__ = ["VOCABULARY", "imports"]

VOCABULARY: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        added_up,
        cat_in_order,
        drawing,
        dropout_masks,
        fan_out,
        few_outputs,
        in_layout,
        in_order,
        log_softmax_of_few,
        member_convolution,
        member_layer_norm,
        member_linear,
        ordered,
        pointwise,
        split,
        with_values,
        *FASTER.values(),
        *FASTER_TO_THE_BIT.values(),
    )
}


def imports() -> str:
    """The lines that import it.

    >>> print(imports().splitlines()[0])
    from nas_engine_cgo.exact.convolution import member_convolution
    """
    modules = defaultdict(list)
    for name, function in VOCABULARY.items():
        modules[function.__module__].append(name)
    return "\n".join(
        f"from {module} import {', '.join(sorted(names))}"
        for module, names in sorted(modules.items())
    )
