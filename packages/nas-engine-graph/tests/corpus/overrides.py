"""Overrides of what PyTorch calls beside forward: caches, flags and modules that stay as they are."""

import warnings
from typing import Dict, List, Optional  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 3))
class Cached(nn.Module):
    """Keeps what it computes of its weights in eval mode, as attention of LeViT does."""

    cache: Dict[str, Tensor]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.cache = {}

    @torch.no_grad()
    def train(self, mode=True):
        super().train(mode)
        if self.cache:
            self.cache = {}

    def _apply(self, fn, *args, **kwargs):
        self.cache = {}
        return super()._apply(fn, *args, **kwargs)

    def bias(self, key: str) -> Tensor:
        if self.training:
            return self.weight * 2
        if key not in self.cache:
            self.cache[key] = self.weight * 2
        return self.cache[key]

    def forward(self, x):
        return x + self.bias(str(x.device))


@case(x(2, 3))
class CachedTensor(nn.Module):
    """Keeps a tensor, and gives it up where its weights may change."""

    kept: Optional[Tensor]  # noqa: UP007, UP045

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.drop = nn.Dropout()
        self.kept = None

    def train(self, mode: bool = True):
        """Gives it up before it is trained."""
        if mode:
            self.kept = None
        super(CachedTensor, self).train(mode=mode)
        self.drop.eval()
        return self

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        old = prefix + "old_weight"
        if old in state_dict:
            state_dict[prefix + "weight"] = state_dict.pop(old)
        if self.kept is not None:
            self.kept = None
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, x):
        kept = self.kept
        if self.training or kept is None:
            kept = self.weight.exp()
            if not self.training:
                self.kept = kept
        return self.drop(x) * kept


@case(x(2, 3))
class OnlyClears(Cached):
    cache: Dict[str, Tensor]  # noqa: UP006
    first: float = 0.0

    def eval(self):
        self.first = self.second = 2.0
        return super().eval()

    def train(self, mode: bool = True):
        self.cache.clear()
        return super().train(mode)

    def __init__(self):
        super().__init__()
        self.first = self.second = 1.0

    def forward(self, x):
        return (x + self.bias("a")) * self.first - self.second


@case(x(2, 3))
class Listed(Cached):
    """Overrides what its base overrides, too."""

    cache: Dict[str, Tensor]  # noqa: UP006
    seen: List[int]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.seen = []
        self.evaluated = False
        self.count = 3

    def train(self, mode: bool = True):
        self.seen.clear()
        result = super().train(mode)
        if not mode:
            self.evaluated = True
        else:
            self.count = 1
        return result

    def forward(self, x):
        self.seen.append(x.shape[0])
        y = x + self.bias("a") * len(self.seen) ** self.count
        return y.cos() if self.evaluated else y


class PartlyFrozen(nn.Sequential):
    def train(self, mode: bool = True):
        nn.Module.train(self, mode)
        keep_evaluating(self[0])
        return self


def keep_evaluating(module):
    for child in module.modules():
        child.eval()


@case(x(4, 3))
class HoldsThemAll(nn.Module):
    def __init__(self):
        super().__init__()
        self.frozen = PartlyFrozen(nn.BatchNorm1d(3), nn.Dropout())
        self.blocks = nn.ModuleList([Cached(), Listed(), CachedTensor()])

    def forward(self, x):
        x = self.frozen(x)
        for block in self.blocks:
            x = block(x)
        return x


@case(x(2, 3))
class Versioned(nn.Module):
    """Makes itself over for weights of its first version, as MNASNet does."""

    _version = 2

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        version = local_metadata.get("version")
        if version not in (1, 2):
            raise ValueError(f"of version {version}")
        if version == 1:
            self.layers[1] = nn.Linear(3, 4)
            self._version = 1
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, x):
        return self.layers(x)


@case(x(2, 3))
class Resizes(nn.Module):
    """Makes what is loaded fit, or itself."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 3))
        self.register_buffer("table", torch.zeros(2), persistent=False)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        key = prefix + "weight"
        if key in state_dict and state_dict[key].shape != self.weight.shape:
            found = state_dict[key][None]
            state_dict[key] = nn.functional.interpolate(found, size=self.weight.shape[-1])[0]
        if prefix + "table" in state_dict:
            if state_dict[prefix + "table"].size() != self.table.size():
                self.register_buffer("table", torch.zeros_like(state_dict[prefix + "table"]))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x):
        return x * self.weight + self.table.sum()


@case(x(4, 3))
class FreezesStages(nn.Module):
    """As backbones of detectors do."""

    def __init__(self, frozen=1):
        super().__init__()
        self.frozen = frozen
        self.stages = nn.ModuleList([nn.BatchNorm1d(3) for _ in range(3)])
        self.freeze()

    def freeze(self):
        for stage in self.stages[: self.frozen]:
            stage.eval()
            for parameter in stage.parameters():
                parameter.requires_grad = False

    def train(self, mode=True):
        super().train(mode)
        self.freeze()
        return self

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return x


@case(x(2, 3))
class RenamesOldWeights(nn.Module):
    """Which changes nothing of those that it saves."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def load_state_dict(self, state_dict, **kwargs):
        from torch.nn import Linear

        if isinstance(self.layer, Linear):
            for key in list(state_dict.keys()):
                new_key = key
                if key.startswith("fc."):
                    new_key = "layer." + key.removeprefix("fc.")
                new_key = new_key.replace("gamma", "weight")
                state_dict[new_key] = state_dict.pop(key)
        if not kwargs.get("strict", True):
            own = self.state_dict()
            missing = []
            for key in set(own.keys()) & set(state_dict.keys()):
                if own[key].shape != state_dict[key].shape:
                    missing.append(key)
                    state_dict.pop(key)
            warnings.warn(f"{missing}", stacklevel=2)
        return super().load_state_dict(state_dict, **kwargs)

    def forward(self, x):
        return self.layer(x)


def is_uninitialized(weight):
    if not hasattr(nn.parameter, "UninitializedParameter"):
        return False
    return isinstance(weight, nn.parameter.UninitializedParameter)


@case(x(2, 3))
class SavesAsUsual(nn.Module):
    """Saves and loads what may have no shape yet, as the linear layer of torch-geometric does."""

    def __init__(self, width: int = 3):
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.randn(2, width))
        self.register_parameter("bias", None)

    def forward(self, x):
        return nn.functional.linear(x, self.weight, self.bias)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        if is_uninitialized(self.weight) or torch.onnx.is_in_onnx_export() or keep_vars:
            destination[prefix + "weight"] = self.weight
        else:
            destination[prefix + "weight"] = self.weight.detach()
        if self.bias is not None:
            destination[prefix + "bias"] = self.bias if keep_vars else self.bias.detach()

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        weight = state_dict.get(prefix + "weight", None)
        if weight is not None and is_uninitialized(weight):
            self.width = -1
            self.weight = nn.parameter.UninitializedParameter()
        elif weight is not None and is_uninitialized(self.weight):
            self.width = weight.size(-1)
            self.weight.materialize((2, self.width))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@case(x(2, 3))
class Switched(nn.Module):
    """Keeps what the mode is, and what it is not, under names of its own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.on, self.off = False, True

    def train(self, mode: bool = True):
        super().train(mode)
        self.on = not mode
        self.off = mode
        return self

    def forward(self, x):
        y = x * self.weight if self.on else x + self.weight
        return -y if self.off else y * 2


@case(x(2, 3))
class ReturnsEarly(Cached):
    cache: Dict[str, Tensor]  # noqa: UP006

    def train(self, mode: bool = True):
        if mode:
            return super().train(mode)
        self.cache = {}
        return super().train(False)


@case(x(2, 3))
class ByMode(nn.Module):
    """Sets what hangs on the mode alone, in all ways that Python has."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.on, self.off, self.kept = False, True, True
        self.times = self.shift = 1
        self.power = 2.0

    def train(self, mode: bool = True):
        on: bool = bool(mode)
        if off := not on:
            self.times: int = 3
        elif on and not off:
            self.times = 5
        super().train(mode=on)
        self.on, self.off = self.training, not self.training
        self.shift = self.times
        self.shift -= 1 if mode else 2
        self.kept = True
        self.kept &= mode
        self.power = (2 if mode else 3) * 0.5
        return self

    def forward(self, x):
        y = x * self.weight if self.on else x + self.weight
        y = y * self.times if self.off else y - self.shift
        return y.exp() if self.kept else y * self.power


@case(x(2, 3))
class SetsByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.scale = 1.0

    def train(self, mode: bool = True, *args, **kwargs):
        setattr(self, "scale", 0.5 if mode else 2.0)  # noqa: B010
        return super().train(mode, *args, **kwargs)

    def forward(self, x):
        return x * self.weight * self.scale


@case(x(4, 3))
class NeverTrains(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.asked = False

    def train(self, mode: bool = True):
        self.asked = mode
        return super().train(False)

    def forward(self, x):
        y = self.norm(x)
        return y if self.asked else y * 2


@case(x(4, 3))
class HoldsFrozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.frozen = nn.Sequential(NeverTrains(), nn.Dropout())
        self.alone = NeverTrains()

    def forward(self, x):
        return self.alone(self.frozen(x))


@case(x(4, 3))
def never_trained():
    return HoldsFrozen().eval()
