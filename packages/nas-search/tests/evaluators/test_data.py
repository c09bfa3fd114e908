"""Laws of the data: nothing is lost, nothing is seen twice, and equal seeds give equal batches."""

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_search.evaluators.data import open_feed, split
from nas_search.evaluators.streams import Stream, derive
from torch.utils.data import TensorDataset

CPU = torch.device("cpu")
sizes, batch_sizes, seeds = st.integers(2, 60), st.integers(1, 70), st.integers(0, 2**63 - 1)


def numbers(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(float(size)), torch.arange(size)


def epoch_of(data: Any, **options: Any) -> list[list[int]]:
    return [y.tolist() for _, y in open_feed(data, device=CPU, **options).epoch()]


@settings(max_examples=60, deadline=None)
@given(sizes, batch_sizes, seeds, st.booleans(), st.booleans())
def test_an_epoch_is_all_of_the_data_once(
    size: int, batch_size: int, seed: int, shuffle: bool, drop_last: bool
) -> None:
    options = {"batch_size": batch_size, "seed": seed, "shuffle": shuffle, "drop_last": drop_last}
    batches = epoch_of(numbers(size), **options)
    seen = [number for batch in batches for number in batch]
    kept = size - size % batch_size if drop_last else size
    assert len(seen) == len(set(seen)) == kept
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert batches == epoch_of(numbers(size), **options)
    assert batches == epoch_of(TensorDataset(*numbers(size)), **options)
    assert open_feed(numbers(size), device=CPU, **options).batches == len(batches)
    if not shuffle:
        assert seen == list(range(kept))


@settings(max_examples=60, deadline=None)
@given(sizes, st.floats(0.01, 0.99), seeds)
def test_a_split_divides_the_data(size: int, share: float, seed: int) -> None:
    kept, held_out = split(numbers(size), share, seed)
    assert isinstance(kept, tuple)
    assert isinstance(held_out, tuple)
    assert sorted(kept[1].tolist() + held_out[1].tolist()) == list(range(size))
    assert len(held_out[1]) >= 1
    assert torch.equal(split(numbers(size), share, seed)[0][1], kept[1])  # type: ignore[index]


def test_epochs_differ_and_inputs_stay_with_their_targets() -> None:
    feed = open_feed(numbers(50), batch_size=10, seed=0, device=CPU, shuffle=True)
    first, second = ([y.tolist() for _, y in feed.epoch()] for _ in range(2))
    assert first != second
    assert all(torch.equal(x, y.float()) for x, y in feed.epoch())


@given(seeds, seeds)
def test_purposes_and_seeds_have_seeds_of_their_own(a: int, b: int) -> None:
    assert derive(a, "order") != derive(a, "split")
    assert (derive(a, "order") == derive(b, "order")) == (a == b)
    assert 0 <= derive(a, "order") < 2**63


def test_a_stream_goes_on_where_it_was_left() -> None:
    with Stream(3).active():
        at_once = torch.rand(4)
    stream = Stream(3)
    with stream.active():
        first = torch.rand(2)
    torch.rand(7)
    with stream.active():
        second = torch.rand(2)
    assert torch.equal(torch.cat([first, second]), at_once)
