"""Kinds: how calls of each function are fused, and when they can be."""

from nas_engine_cgo.kinds.fused import Fused
from nas_engine_cgo.kinds.registry import fits, write

__all__ = ["Fused", "fits", "write"]
