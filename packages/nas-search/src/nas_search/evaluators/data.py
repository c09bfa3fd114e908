"""Data as a recipe names it, and the batches that come out of it."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from nas_search.evaluators.streams import Stream, derive

Batch: TypeAlias = tuple[torch.Tensor, ...]
"""The inputs of the model in their order, then the target."""

Data: TypeAlias = (
    Sequence[torch.Tensor] | Dataset[Any] | Callable[..., Iterable[Sequence[torch.Tensor]]]
)
"""Equally long tensors, a dataset of such items, or a function that makes a ``DataLoader``."""


@dataclass(frozen=True)
class Feed:
    """Batches of some data, epoch after epoch, from random streams of its own.

    Two feeds with equal arguments give equal batches, which is what lets candidates share one.
    """

    loader: Callable[[], Iterable[Sequence[torch.Tensor]]]
    batches: int | None
    """Batches in an epoch, if that is known."""
    stream: Stream | None
    """The random numbers that reading the data draws; None: it draws none."""
    device: torch.device

    def epoch(self) -> Iterator[Batch]:
        """Go through the data once."""
        active = self.stream.active if self.stream else nullcontext
        with active():
            batches = iter(self.loader())
        while True:
            with active():
                batch = next(batches, None)
            if batch is None:
                return
            yield _checked(batch, self.device)


def open_feed(
    data: Data,
    *,
    batch_size: int,
    seed: int,
    device: torch.device,
    shuffle: bool = False,
    drop_last: bool = False,
) -> Feed:
    """Make the batches of some data.

    The order of each epoch is one ``torch.randperm`` from a generator that is seeded with
    ``derive(seed, "order")`` and used for nothing else. A function that makes a loader decides by
    itself, and is given that generator if it has a parameter ``generator``.

    >>> data = torch.arange(5.0), torch.arange(5)
    >>> feed = open_feed(data, batch_size=2, seed=0, device=torch.device("cpu"))
    >>> [target.tolist() for _, target in feed.epoch()]
    [[0, 1], [2, 3], [4]]
    """
    order = torch.Generator().manual_seed(derive(seed, "order"))
    shuffled = shuffle and order
    if is_tensors(data):
        # Moved once: small data sets live where the model does.
        moved = [tensor.to(device) for tensor in data]
        return Feed(*_indexed(moved, batch_size, shuffled, drop_last), None, device)
    stream = Stream(derive(seed, "data"))
    if isinstance(data, Dataset):
        return Feed(*_collated(data, batch_size, shuffled, drop_last), stream, device)
    if callable(data):
        return Feed(*_made(data, order, stream), stream, device)
    raise _no_data(data)


def require_data(data: Data) -> None:
    """Refuse what is no data, or has nothing in it; nothing is read.

    >>> require_data((torch.zeros(0, 4), torch.zeros(0)))
    Traceback (most recent call last):
    ValueError: there is no data: the length is 0
    """
    if not (is_tensors(data) or isinstance(data, Dataset) or callable(data)):
        raise _no_data(data)
    if isinstance(data, Dataset) and not isinstance(data, Sized):
        raise _no_length(data)
    size = len(data[0]) if is_tensors(data) else len(data) if isinstance(data, Sized) else None
    if size == 0:
        raise ValueError("there is no data: the length is 0")


def _no_data(data: object) -> TypeError:
    return TypeError(
        "data must be a tuple of tensors, a Dataset or a function that makes a DataLoader, "
        f"not {type(data).__name__}"
    )


def _no_length(data: object) -> TypeError:
    return TypeError(
        f"{type(data).__name__} has no length: give a function that makes its DataLoader"
    )


def split(data: Data, share: float, seed: int = 0) -> tuple[Data, Data]:
    """Divide data at random into a part to train on and a ``share`` to validate on.

    >>> train, validation = split((torch.zeros(10, 3), torch.arange(10)), 0.3)
    >>> len(train[1]), len(validation[1])
    (7, 3)
    """
    count = require_divisible(data, share)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(derive(seed, "split")))
    kept = count - max(1, round(count * share))
    return _pick(data, order[:kept]), _pick(data, order[kept:])


def require_divisible(data: Data, share: float) -> int:
    """Refuse a share that is none, or data that can't be divided; gives back its length."""
    if not 0 < share < 1:
        raise ValueError(
            "validation must be data, or a share of the training data between 0 and 1, "
            f"not {share!r}"
        )
    if is_tensors(data):
        return len(data[0])
    if isinstance(data, Dataset) and isinstance(data, Sized):
        return len(data)
    raise TypeError(
        "only tensors and a Dataset with a length can be divided: give validation its own data"
    )


def is_tensors(data: Data) -> TypeGuard[Sequence[torch.Tensor]]:
    """Say whether data is given as tensors, and refuse tensors that do not belong together."""
    if not isinstance(data, tuple | list):
        return False
    if len(data) < 2 or not all(isinstance(tensor, torch.Tensor) for tensor in data):
        raise TypeError(
            "data given as a tuple must be tensors: one or more inputs, then the target"
        )
    lengths = [len(tensor) for tensor in data]
    if len(set(lengths)) > 1:
        raise ValueError(f"inputs and target must be equally long, not {lengths}")
    return True


def _pick(data: Data, indices: torch.Tensor) -> Data:
    if isinstance(data, Dataset):
        return Subset(data, indices.tolist())
    assert isinstance(data, Sequence)
    return tuple(tensor[indices] for tensor in data)


Loader: TypeAlias = Callable[[], Iterable[Sequence[torch.Tensor]]]


def _indexed(
    tensors: Sequence[torch.Tensor],
    batch_size: int,
    order: torch.Generator | bool,
    drop_last: bool,
) -> tuple[Loader, int]:
    size = len(tensors[0])

    def loader() -> Iterator[Batch]:
        for chunk in _chunks(size, batch_size, order, drop_last):
            yield tuple(tensor[chunk] for tensor in tensors)

    return loader, _count(size, batch_size, drop_last)


def _made(
    factory: Callable[..., Iterable[Sequence[torch.Tensor]]],
    order: torch.Generator,
    stream: Stream,
) -> tuple[Loader, int | None]:
    wanted = {"generator": order} if "generator" in inspect.signature(factory).parameters else {}
    with stream.active():
        made = factory(**wanted)
    return (lambda: made), _length(made)


def _length(made: object) -> int | None:
    """Batches in an epoch; the loader of an ``IterableDataset`` has a length only if that has."""
    try:
        return len(made) if isinstance(made, Sized) else None
    except TypeError:
        return None


def _collated(
    dataset: Dataset[Any], batch_size: int, order: torch.Generator | bool, drop_last: bool
) -> tuple[Loader, int]:
    if not isinstance(dataset, Sized):
        raise _no_length(dataset)
    size = len(dataset)

    def loader() -> Iterable[Sequence[torch.Tensor]]:
        chunks = [chunk.tolist() for chunk in _chunks(size, batch_size, order, drop_last)]
        return DataLoader(dataset, batch_sampler=chunks)

    return loader, _count(size, batch_size, drop_last)


def _chunks(
    size: int, batch_size: int, order: torch.Generator | bool, drop_last: bool
) -> Iterator[torch.Tensor]:
    indices = (
        torch.randperm(size, generator=order)
        if isinstance(order, torch.Generator)
        else torch.arange(size)
    )
    whole = size - size % batch_size if drop_last else size
    # Splitting nothing would give one empty batch.
    return iter(torch.split(indices[:whole], batch_size) if whole else ())


def _count(size: int, batch_size: int, drop_last: bool) -> int:
    return size // batch_size if drop_last else -(-size // batch_size)


def _checked(batch: Sequence[torch.Tensor], device: torch.device) -> Batch:
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise TypeError(
            "a batch must be a tuple of one or more inputs and the target, "
            f"not {type(batch).__name__}"
        )
    if not isinstance(batch[-1], torch.Tensor):
        raise TypeError(f"the target of a batch must be a tensor, not {type(batch[-1]).__name__}")
    return tuple(part.to(device) if isinstance(part, torch.Tensor) else part for part in batch)
