from collections import OrderedDict
from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from nas_core import basic_unit
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from corpus.case import case, x


@case(x(2, 3, 8, 8))
class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.b = nn.Conv2d(8, 8, 3, stride=2, groups=4, padding_mode="reflect", padding=1)
        self.c = nn.ConvTranspose2d(8, 4, 3, output_padding=1, stride=2)
        self.d = nn.Conv2d(4, 4, 3, padding="same", dilation=2)

    def forward(self, x):
        return self.d(self.c(self.b(self.a(x))))


@case(x(2, 3, 8))
class OneDimensional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3)
        self.pool = nn.MaxPool1d(2)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.pool(self.conv(x)))


@case(x(2, 4, 6, 6))
class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.BatchNorm2d(4, eps=1e-3, momentum=0.2)
        self.b = nn.GroupNorm(2, 4)
        self.c = nn.LayerNorm([6, 6])
        self.d = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
        self.e = nn.BatchNorm2d(4, affine=False, track_running_stats=False)
        self.f = nn.RMSNorm(6)

    def forward(self, x):
        return self.f(self.e(self.d(self.c(self.b(self.a(x))))))


@case(x(2, 4, 6, 6))
class NormChangedAfterwards(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.norm.eps = 0.5
        self.norm.momentum = None

    def forward(self, x):
        return self.norm(x)


@case(x(2, 5))
class Activations(nn.Module):
    def __init__(self):
        super().__init__()
        self.acts = nn.ModuleList(
            [nn.ReLU(), nn.GELU("tanh"), nn.SiLU(), nn.Hardswish(), nn.ELU(0.5), nn.LeakyReLU(0.3),
             nn.PReLU(5), nn.Softplus(2.0), nn.Mish(), nn.Tanh(), nn.Sigmoid(), nn.Hardtanh(-2, 3),
             nn.ReLU6(), nn.CELU(), nn.Softsign(), nn.LogSigmoid(), nn.Softmax(dim=1), nn.SELU(),
             nn.Hardsigmoid(), nn.Threshold(0.1, 2), nn.Softshrink(0.3), nn.GLU(1) if False else nn.Identity(1, a=2)]
        )  # fmt: skip

    def forward(self, x):
        for act in self.acts:
            x = act(x)
        return x


@case(x(2, 5, 4))
class Dropouts(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Dropout(0.3)
        self.b = nn.Dropout1d(0.5)
        self.c = nn.AlphaDropout(0.2)
        self.d = nn.RReLU()

    def forward(self, x):
        return self.d(self.c(self.b(self.a(x))))


@case(x(5, 2, 4))
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3, num_layers=2, dropout=0.1, bidirectional=True)
        self.gru = nn.GRU(6, 3, bias=False)
        self.rnn = nn.RNN(3, 4, nonlinearity="relu")

    def forward(self, x):
        x, (h, c) = self.lstm(x)
        x, g = self.gru(x)
        y, _ = self.rnn(x)
        return y, h, c, g


@case(x(2, 4))
class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.LSTMCell(4, 3)
        self.b = nn.GRUCell(3, 3)
        self.c = nn.RNNCell(3, 2, nonlinearity="relu", bias=False)

    def forward(self, x):
        h, c = self.a(x)
        return self.c(self.b(h)) + c.sum()


@case(torch.tensor([[1, 2, 0], [3, 1, 2]]))
class Embeddings(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Embedding(5, 4, padding_idx=0)
        self.b = nn.EmbeddingBag(5, 4, mode="sum")

    def forward(self, tokens):
        return self.a(tokens).sum(1) + self.b(tokens)


@case(x(2, 3, 4))
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True)

    def forward(self, x):
        y, weights = self.attention(x, x, x)
        assert weights is not None
        return y + 1, weights


@case(x(2, 3, 4))
class AttentionWithoutWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.1, bias=False)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


@case(x(2, 3, 4))
class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            4, 2, 8, dropout=0.1, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, norm_first=True, batch_first=True)

    def forward(self, x):
        return self.encoder(self.layer(x))


@case(x(2, 3, 8, 8))
class Pools(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.MaxPool2d(2, stride=1, ceil_mode=True)
        self.b = nn.AvgPool2d(3, count_include_pad=False, padding=1)
        self.c = nn.AdaptiveAvgPool2d((2, None))
        self.d = nn.MaxPool2d(2, return_indices=True)
        self.e = nn.MaxUnpool2d(2)
        self.f = nn.LPPool2d(2, 2)

    def forward(self, x):
        x = self.a(x)
        x, i = self.d(x)
        x = self.e(x, i)
        return self.c(self.b(x)), self.f(x)


@case(x(2, 4, 4, 4))
class Shapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.PixelShuffle(2)
        self.b = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.c = nn.ZeroPad2d(1)
        self.d = nn.Flatten(1)
        self.e = nn.Unflatten(1, (2, -1))
        self.f = nn.ChannelShuffle(2)
        self.g = nn.UpsamplingNearest2d(scale_factor=2)

    def forward(self, x):
        return self.e(self.d(self.c(self.b(self.a(self.g(self.f(x)))))))


@case(x(4, 3), torch.tensor([0, 1, 2, 1]))
class Losses(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1)
        self.b = nn.MSELoss(reduction="sum")

    def forward(self, x, y):
        return self.a(x, y) + self.b(x, torch.zeros_like(x))


@case(x(2, 4))
class WeightNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = parametrizations.weight_norm(nn.Linear(4, 3))
        self.b = parametrizations.spectral_norm(nn.Linear(3, 3))

    def forward(self, x):
        return self.b(self.a(x))


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).transpose(-1, -2)


@case(x(2, 4))
class OwnParametrization(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        parametrize.register_parametrization(self.linear, "weight", Symmetric())

    def forward(self, x):
        return self.linear(x)


@case(x(2, 4))
class OldWeightNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.utils.weight_norm(nn.Linear(4, 4))

    def forward(self, x):
        return self.linear(x)


class WideConv(nn.Conv2d):
    def __init__(self, channels):
        super().__init__(channels, channels * 2, 3, padding=1)


@case(x(2, 3, 4, 4))
class SubclassedLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = WideConv(3)

    def forward(self, x):
        return self.conv(x)


class StandardizedConv(nn.Conv2d):
    def forward(self, x):
        w = self.weight
        w = (w - w.mean(dim=[1, 2, 3], keepdim=True)) / (w.std(dim=[1, 2, 3], keepdim=True) + 1e-5)
        return F.conv2d(x, w, self.bias, self.stride, self.padding, self.dilation, self.groups)


@case(x(2, 3, 4, 4))
class SubclassedLayerWithForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = StandardizedConv(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


@case(x(2, 3, 4, 4))
class SubclassedNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = LayerNorm2d(3)

    def forward(self, x):
        return self.norm(x)


@case(x(2, 4))
class FrozenLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        for p in self.a.parameters():
            p.requires_grad = False
        self.b.bias.requires_grad_(False)

    def forward(self, x):
        return self.b(self.a(x))


@case(x(2, 4).double().detach().requires_grad_())
class DoubleLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4, dtype=torch.float64)

    def forward(self, x):
        return self.a(x)


@case(x(2, 4), x(3, 5))
class BilinearDistance(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Bilinear(4, 4, 2)
        self.b = nn.CosineSimilarity(dim=0)
        self.c = nn.PairwiseDistance(p=1.0)

    def forward(self, x, y):
        return self.a(x, x), self.b(y[0], y[1]), self.c(x, x + 1)


@case(x(2, 4))
class LayerAttributes(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.conv = nn.Conv1d(4, 2, 1)

    def forward(self, x):
        y = F.linear(x, self.linear.weight * 2, self.linear.bias)
        return y * self.linear.in_features + self.conv.kernel_size[0]


@case(x(2, 4))
class MethodOfLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 1)

    def forward(self, x):
        return self.conv._conv_forward(x[None], self.conv.weight, None)


@case(x(2, 3, 4))
class ChangedInside(nn.Module):
    """Layers of which a part is frozen, in eval mode, or has another dropout."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        for parameter in self.encoder.layers[0].parameters():
            parameter.requires_grad = False
        self.encoder.layers[0].eval()
        self.encoder.layers[0].dropout.train()
        self.encoder.layers[1].dropout.p = 0.5
        self.encoder.layers[1].linear1.weight.rate = 2.0

    def forward(self, x):
        return self.encoder(x)


@case(x(1, 2, 5))
class NoLongerNormalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 2, 3, bias=False))
        nn.utils.parametrize.remove_parametrizations(self.conv, "weight")

    def forward(self, x):
        return self.conv(x)


class Fitted(nn.modules.lazy.LazyModuleMixin, nn.Module):
    """A module that gets its size from its first input, and is of the same class from then on."""

    def __init__(self):
        super().__init__()
        self.weight, self.power = nn.UninitializedParameter(), 2.0

    def initialize_parameters(self, x):
        if self.has_uninitialized_params():
            self.weight.materialize((x.shape[-1],))
            nn.init.normal_(self.weight)

    def forward(self, x):
        return x * self.weight**self.power


@case(x(2, 4))
def fitted():
    module = nn.Sequential(Fitted(), nn.LazyLinear(3))
    module(torch.zeros(2, 4))
    return module


@basic_unit
class WithNothing(nn.Module):
    """A layer with a parameter that has no elements."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.empty(0))
        self.weight = nn.Parameter(torch.ones(3, 2))

    def forward(self, x):
        return x @ self.weight + self.nothing.sum()


@case(x(2, 3))
class TurnsALayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = WithNothing()
        self.inner.weight.data = torch.ones(2, 3).t()

    def forward(self, x):
        return self.inner(x)
