"""What is said of the first values of a parameter, against what Python computes of the same."""

import math
import statistics

import pytest
import torch
from torch import Tensor, nn

from nas_engine_graph import convert
from nas_engine_graph.ir import Data, Fill, Normal

INF, NAN = math.inf, math.nan
LARGE = (5, 13)  # one element more than is written down
SMALL = (4, 16)


class Scaled(nn.Module):
    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return x * self.weight


def found(weight: Tensor) -> Data | Fill | Normal:
    """What conversion says of the weight."""
    init: Data | Fill | Normal = convert(Scaled(weight)).member("weight").init
    return init


def numbers(shape: tuple[int, ...], *others: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers around 300 that are all different, of which the first few are replaced."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 7 + 300
    drawn.view(-1)[: len(others)] = torch.tensor(others)
    return drawn.to(dtype)


@pytest.mark.parametrize(
    "weight",
    [
        numbers(LARGE),
        numbers(LARGE, NAN),
        numbers(LARGE, INF, -INF, INF, NAN),
        numbers(LARGE, -INF),
        numbers((3, 64, 40), NAN, INF),
        numbers((3, 64, 40)).permute(2, 0, 1),
        numbers((3, 64, 40))[:, ::2],
        numbers(LARGE, *[NAN] * 63),  # which leaves two
        numbers(LARGE, 6e4, -6e4, dtype=torch.float16),  # whose squares are no halves
        numbers(LARGE, INF, dtype=torch.bfloat16),
        numbers(LARGE, NAN, dtype=torch.float64),
        numbers(LARGE, 3e38, -3e38, 3e38),  # nor are these squares numbers of single precision
        1e4 + numbers((1000,)) * 1e-3,  # differences that single precision loses in a sum
    ],
    ids=lambda weight: f"{str(weight.dtype)[6:]}-{tuple(weight.shape)}",
)
def test_large_weights_are_drawn_as_their_finite_values_are(weight: Tensor) -> None:
    values = [value for value in weight.reshape(-1).tolist() if math.isfinite(value)]
    init = found(weight)
    assert isinstance(init, Normal)
    assert init.mean == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert init.deviation == pytest.approx(statistics.stdev(values), rel=1e-9)


@pytest.mark.parametrize("others", [64, 65])
def test_large_weights_without_two_finite_values_are_drawn_as_usual(others: int) -> None:
    init = found(numbers(LARGE, *[NAN, INF, -INF] * 21, *[NAN] * (others - 63)))
    assert isinstance(init, Normal)
    assert (init.mean, init.deviation) == (0.0, 1.0)


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, INF])
@pytest.mark.parametrize("shape", [LARGE, SMALL, (1,)])
def test_weights_that_are_all_equal_are_filled(value: float, shape: tuple[int, ...]) -> None:
    assert found(torch.full(shape, value)) == Fill(value)


@pytest.mark.parametrize("others", [(), (NAN,), (INF, -INF, NAN)])
def test_small_weights_are_written_down(others: tuple[float, ...]) -> None:
    weight = numbers(SMALL, *others)
    content = bytes(weight.view(torch.uint8).reshape(-1).tolist())
    assert found(weight) == Data("float32", SMALL, content)
