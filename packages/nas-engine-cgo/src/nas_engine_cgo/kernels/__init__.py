"""Faster ways to compute what torch computes, for tensors as large as those of merged members."""

from nas_engine_cgo.kernels.pointwise import pointwise
from nas_engine_cgo.kernels.pooling import avg_pool2d, max_pool2d

__all__ = ["avg_pool2d", "max_pool2d", "pointwise"]
