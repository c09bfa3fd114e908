"""Submodules that keep something between calls until ``train`` or ``eval`` drops it, as a cache.

What such a module does depends on what was called before, which one run of it does not show.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["keeping", "overrides"]

_KEPT = (dict, list, set, Tensor, type(None))
_OF_EVERY_MODULE = vars(nn.Module()).keys()


def keeping(module: nn.Module) -> frozenset[str]:
    """The paths of the submodules that may keep something.

    >>> class Cached(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.cache = None
    ...     def train(self, mode=True):
    ...         self.cache = None
    ...         return super().train(mode)
    >>> sorted(keeping(nn.Sequential(Cached(), nn.ReLU())))
    ['0']
    """
    return frozenset(
        path
        for path, child in module.named_modules()
        if overrides(type(child)) and _holds_anything(child)
    )


def overrides(kind: type[nn.Module]) -> bool:
    """Whether modules of a class do something of their own when they are told to train or not."""
    return kind.train is not nn.Module.train or kind.eval is not nn.Module.eval


def _holds_anything(module: nn.Module) -> bool:
    own = vars(module)
    return any(isinstance(own[name], _KEPT) for name in own.keys() - _OF_EVERY_MODULE)
