"""Kinds: how calls of each function are fused, and when they can be."""

from nas_engine_cgo.kinds.convolution import arguments
from nas_engine_cgo.kinds.fused import Fused, bound
from nas_engine_cgo.kinds.registry import can_be_apart, fits, write

__all__ = ["Fused", "arguments", "bound", "can_be_apart", "fits", "write"]
