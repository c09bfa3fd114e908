"""Loops through what changes in them, under whatever name."""

from typing import Dict, List

import torch
from torch import Tensor, nn

from corpus.case import case, x


def grown(numbers: List[int]):
    if len(numbers) < 7:
        numbers.append(len(numbers))


@case(x(2, 3), [1, 4, 2])
@case(x(2, 3), [9])
class GrowsUnderAnotherName(nn.Module):
    def forward(self, x, numbers: List[int]):
        other, held, total = numbers, {"n": numbers}, 0
        for k in numbers:
            total += k
            if len(numbers) < 5:
                other.append(k + 1)
        for i, k in enumerate(numbers):
            grown(numbers)
            total += i * k
        for k, row in zip(other, [x, x * 2, x * 3]):
            held["n"].pop()
            x = x + row * k
        for k in numbers:
            numbers = numbers + [k]
        return x, numbers, total


@case(x(2, 3))
class GrowsUnread(nn.Module):
    def forward(self, x):
        numbers, n = [1], 0
        for _ in numbers:
            n += 1
            if n < 9:
                numbers.append(1)  # Nobody but the loop asks for it.
        left = [numbers.pop() for _ in numbers]
        return x * n, len(left)


@case(x(2, 3), {"a": x(3), "b": x(3)}, 0)
@case(x(2, 3), {"a": x(3), "b": x(3)}, 1)
@case(x(2, 3), {"a": x(3), "b": x(3)}, 2)
@case(x(2, 3), {"a": x(3), "b": x(3)}, 3)
class ChangesDicts(nn.Module):
    def forward(self, x, rows: Dict[str, Tensor], mode: int):
        for key, row in rows.items():
            x = x + row
            rows["b"] = row * 2  # It is seen by the next trip.
        if mode == 1:
            for key in rows:
                rows[key + "z"] = x
        for row in rows.values():
            x = x * row
            if mode == 2:
                rows.clear()
        names = rows.keys()
        for i, (key, row) in enumerate(rows.items()):
            if mode == 3 and i == 0:
                del rows["b"]
                break
            x = x - row
        return x, rows, [name + "!" for name in names], names


@case(x(3, 3), False)
@case(x(3, 3), True)
class WritesRows(nn.Module):
    def forward(self, x, direct: bool):
        y = x * 2
        total = torch.zeros(3)
        for i, row in enumerate(y):
            total = total + row
            y[2 - i] = row * i
        for row, column in zip(y, y.t()):
            total += row * column
        if direct:
            for row in y:
                row.mul_(2)  # With gradients it is an error: all rows were made at once.
        return y, total


@case(x(3, 3), [3, 1, 2])
class CountsAlong(nn.Module):
    def forward(self, x, numbers: List[int]):
        n = 0
        for i, k in enumerate(numbers, 2):
            n += i * k
        for i, k in enumerate(numbers, -1):
            n += i * k
        for i, k in enumerate(numbers, n % 3):
            n += i * k
        for i, k in zip(range(1, 8, 3), numbers):
            n -= i * k
        for i, k in zip(range(n % 4), numbers):
            n += i + k
            if n > 40:
                break
        for _, letter in zip(x, "ab"):
            n += len(letter)
        for (i, row), k in zip(enumerate(x), numbers):
            x = x + row * i * k
        return x, [row.sum() for row in x], n


@case(x(3), {"a": x(3), "b": x(3)})
class AddsToItems(nn.Module):
    def forward(self, x, table: Dict[str, Tensor]):
        held = {"x": x}
        held["x"] += 1
        first = table["a"]
        table["a"] *= 2
        for key in ["a", "b"]:
            table[key] -= x
            table[key] //= 2
        return x, first, table
