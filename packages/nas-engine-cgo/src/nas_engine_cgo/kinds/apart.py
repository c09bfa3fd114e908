"""What of a fused call can be computed member by member, where bits count."""

from __future__ import annotations

from nas_engine_cgo.kinds.convolution import arguments
from nas_engine_cgo.members import Call
from nas_engine_cgo.packs import Parts

__all__ = ["everything", "nothing", "of_convolution", "results"]


def nothing(_call: Call, _wanted: Parts) -> bool:
    """It is fused as a whole or not at all."""
    return False


def everything(_call: Call, _wanted: Parts) -> bool:
    """The results and each gradient."""
    return True


def results(_call: Call, wanted: Parts) -> bool:
    """The results, if all gradients are fused."""
    return not any(wanted[1:])


def of_convolution(call: Call, _wanted: Parts) -> bool:
    """All of one whose padding is given in numbers."""
    return not isinstance(arguments(call.args, call.kwargs)["padding"], str)
