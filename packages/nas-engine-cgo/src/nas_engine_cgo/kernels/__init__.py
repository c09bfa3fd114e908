"""Faster ways to compute what torch computes, for tensors as large as those of merged members."""

from nas_engine_cgo.kernels.activation import relu
from nas_engine_cgo.kernels.convolution import conv2d
from nas_engine_cgo.kernels.layout import in_layout, split
from nas_engine_cgo.kernels.linear import FEW, few_outputs
from nas_engine_cgo.kernels.normalization import batch_norm
from nas_engine_cgo.kernels.pointwise import pointwise
from nas_engine_cgo.kernels.pooling import avg_pool2d, avg_pool2d_in_order, max_pool2d
from nas_engine_cgo.kernels.softmax import log_softmax_of_few

__all__ = [
    "FASTER",
    "FASTER_TO_THE_BIT",
    "FEW",
    "avg_pool2d",
    "avg_pool2d_in_order",
    "batch_norm",
    "conv2d",
    "few_outputs",
    "in_layout",
    "log_softmax_of_few",
    "max_pool2d",
    "pointwise",
    "relu",
    "split",
]

FASTER = {kernel.__name__: kernel for kernel in (avg_pool2d, batch_norm, conv2d, max_pool2d, relu)}
"""By the name of the function of torch that takes the same arguments."""

FASTER_TO_THE_BIT = {"avg_pool2d": avg_pool2d_in_order, "max_pool2d": max_pool2d}
"""Those that give the bits of torch's."""
