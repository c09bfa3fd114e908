"""Hooks of modules and parameters: what TorchScript does not run, and constructors may not make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

__all__ = ["hooks", "own_hooks"]

_KINDS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
    "_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)  # fmt: skip
_OF_TENSORS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def own_hooks(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Kind and function of the hooks of a module and of its own parameters."""
    for kind in _KINDS:
        if found := vars(module)[kind]:
            hooks = (hook for hook in found.values() if not _is_left_over(module, hook))
            yield from ((kind.strip("_"), hook) for hook in hooks)
    for name, parameter in module._parameters.items():
        for kind in _OF_TENSORS:
            if found := getattr(parameter, kind, None):
                yield from ((f"{name}: {kind.strip('_')}", hook) for hook in found.values())


def _is_left_over(module: nn.Module, hook: Any) -> bool:
    """Whether weight normalisation that was removed has left a hook, which does nothing any more.

    It gives other names to what weights that were saved by an older torch consist of, and neither
    these nor those are loaded into a module that is not normalised.
    """
    name = getattr(getattr(hook, "hook", hook), "__qualname__", "")
    return name.endswith("_weight_norm_compat_hook") and "parametrizations" not in module._modules


def hooks(module: nn.Module) -> Iterator[tuple[str, str, Any]]:
    """Path, kind and code of the hooks of a module and of those in it."""
    for path, inner in module.named_modules():
        for kind, hook in own_hooks(inner):
            plain = getattr(hook, "hook", hook)  # Torch wraps those that load weights.
            plain = getattr(plain, "__func__", plain)
            yield path, kind, getattr(plain, "__code__", type(plain))
