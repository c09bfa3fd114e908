"""Kinds: how calls of each function are fused, and when they can be."""

from nas_engine_cgo.kinds.convolution import arguments
from nas_engine_cgo.kinds.fused import Fused, bound
from nas_engine_cgo.kinds.registry import fits, next_ways, write

__all__ = ["Fused", "arguments", "bound", "fits", "next_ways", "write"]
