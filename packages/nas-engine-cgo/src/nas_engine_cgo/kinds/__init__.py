"""Kinds: how calls of each function are fused, and when they can be."""

from nas_engine_cgo.kinds.fused import Fused
from nas_engine_cgo.kinds.registry import can_be_apart, fits, write

__all__ = ["Fused", "can_be_apart", "fits", "write"]
