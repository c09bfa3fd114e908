"""What a value that ``forward`` calls becomes: TorchScript can't call a number."""

# TorchScript infers the type of the value, which differs from instance to instance.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import torch

__all__ = ["Known"]


class Known(torch.nn.Module):
    """A constant that is called.

    >>> Known(2.5)()
    2.5
    """

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self):
        """The value."""
        return self.value
