"""Recurrent layers are traced without running them on the meta device, and with the same facts."""

import pytest
import torch
from nas_engine_cgo.members import trace
from torch import nn


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(4, 5, 2, batch_first=True, dropout=0.5),
        nn.LSTM(4, 5),
        nn.GRU(4, 5, bidirectional=True),
        nn.RNN(4, 5, nonlinearity="relu"),
    ],
    ids=str,
)
def test_shapes_and_strides_are_known_and_nothing_is_drawn(layer: nn.RNNBase) -> None:
    x, state = torch.randn(3, 7, 4), torch.get_rng_state()
    program = trace(layer, lambda module, x: module(x)[0].relu(), [x])
    assert torch.equal(torch.get_rng_state(), state)
    (call,) = (call for call in program.calls if call.name in ("lstm", "gru", "rnn_relu"))
    outputs, hidden = layer(x)
    states = hidden if isinstance(hidden, tuple) else (hidden,)
    for number, tensor in zip(call.outputs, (outputs, *states), strict=True):
        facts = program.facts[number]
        assert facts.shape == tuple(tensor.shape)
        assert facts.stride == tensor.stride()
        assert facts.dtype == tensor.dtype
