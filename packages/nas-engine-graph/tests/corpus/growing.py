"""Loops over lists that grow or shrink in them."""

from typing import List

from torch import nn

from corpus.case import case, x


@case(x(2, 3), [1, 4, 2])
@case(x(2, 3), [])
class GrowsInLoops(nn.Module):
    def forward(self, x, numbers: List[int]):
        total = 0
        for k in numbers:
            total += k
            if k > 1:
                numbers.append(k // 2)
            if len(numbers) > 9:
                break
        for i, k in zip(range(20), numbers):
            if k == 1:
                continue
            x = x * (i + k)
            numbers += [k - 1]
        return x, numbers, total


@case(x(2, 3), [1, 4, 2, 3])
@case(x(2, 3), [7])
class ShrinksInLoops(nn.Module):
    def forward(self, x, numbers: List[int]):
        rows, n = [x, x * 2, x * 3], 0
        for i, (k, row) in enumerate(zip(numbers, rows)):
            n += i * k
            x = x + row
            if len(numbers) > 1:
                del numbers[0]
            rows.pop()
        for k in numbers:
            numbers.remove(k)
            numbers = [n, k]
            numbers.insert(0, k)
        return x, numbers, n
