"""What functions of torch do besides computing their result, by name.

A function that is in neither table may do anything: it runs by itself, in its place, with the
random numbers of its member.
"""

from __future__ import annotations

__all__ = ["ELEMENTWISE", "KEEPING", "LAID_OUT", "PLACING", "PURE"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTWISE = _names(
    """
    abs absolute acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bitwise_and
    bitwise_not bitwise_or bitwise_xor ceil celu clamp clamp_max clamp_min clip clone
    contiguous copysign cos cosh detach div divide double elu eq erf erfc erfinv exp exp2
    expm1 fix float floor floor_divide fmax fmin fmod frac ge gelu greater greater_equal gt
    half hardshrink hardsigmoid hardswish hardtanh heaviside hypot isfinite isinf isnan
    ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p log2 logaddexp
    logaddexp2 logical_and logical_not logical_or logical_xor logit logsigmoid lt
    masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative not_equal
    ones_like positive pow reciprocal relu relu6 remainder round rsqrt rsub selu sgn sigmoid
    sign signbit silu sin sinc sinh softplus softshrink softsign sqrt square sub subtract
    tan tanh tanhshrink threshold true_divide trunc where xlogy zeros_like __abs__
    __add__ __and__ __div__ __eq__ __floordiv__ __ge__ __gt__ __invert__ __le__ __lt__
    __mod__ __mul__ __ne__ __neg__ __or__ __pow__ __radd__ __rdiv__ __rfloordiv__ __rmod__
    __rmul__ __rpow__ __rsub__ __rtruediv__ __sub__ __truediv__ __xor__
    """
)
"""One element of the result from one of each argument: any layout will do."""

PLACING = _names(
    """
    index_add index_copy index_fill index_put masked_scatter scatter scatter_add scatter_reduce
    __setitem__
    """
)
"""Numbers are put into a tensor at some places; the result has its type."""

PURE = (
    ELEMENTWISE
    | PLACING
    | _names(
        """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d addbmm addmm addmv all amax amin any arange
    argmax argmin argsort avg_pool1d avg_pool2d avg_pool3d baddbmm bilinear
    binary_cross_entropy binary_cross_entropy_with_logits bmm broadcast_to bucketize cat
    cdist ctc_loss channel_shuffle chunk concat concatenate conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d conv_transpose3d cosine_similarity cross_entropy cummax cummin cumprod
    cumsum diag diag_embed diagonal dot einsum embedding expand expand_as eye flatten flip
    full full_like gather gaussian_nll_loss glu group_norm H hinge_embedding_loss huber_loss
    index_select interpolate kl_div kthvalue l1_loss layer_norm linear linspace log_softmax
    logcumsumexp logsumexp lp_pool1d lp_pool2d margin_ranking_loss masked_select matmul max
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices
    max_pool3d_with_indices mean median mH min mm mode moveaxis movedim mse_loss mT
    new_full new_ones new_zeros
    multilabel_soft_margin_loss mv narrow nll_loss norm normalize one_hot ones outer pad
    permute pixel_shuffle pixel_unshuffle poisson_nll_loss prelu prod ravel repeat
    repeat_interleave reshape reshape_as rms_norm roll select
    smooth_l1_loss soft_margin_loss softmax softmin sort split split_with_sizes squeeze
    stack std std_mean sum swapaxes swapdims T t take take_along_dim tensor tensor_split
    tile to topk type_as trace transpose tril triu triu_indices unbind unflatten unfold unsqueeze
    upsample var var_mean vector_norm view view_as zeros __getitem__ __matmul__ __rmatmul__
    _adaptive_max_pool2d _max_pool1d _max_pool2d _max_pool3d _safe_softmax
    """
    )
)
"""No random numbers, nothing changed."""

KEEPING = (ELEMENTWISE - {"logsigmoid"}) | _names(
    """
    bmm broadcast_to cat chunk dropout einsum embedding expand flatten matmul mean mm movedim
    narrow permute reshape select softmax split squeeze stack sum swapaxes t T mT transpose unbind
    unflatten unsqueeze view __getitem__
    """
)
"""The dimensions of the result are ordered in memory as on the meta device, whatever they are."""

LAID_OUT = _names("layer_norm linear")
"""The result is contiguous."""
