"""The functions and methods that random programs call."""

HELPERS = """\
def helper(x):
    y = x.clone()
    y[0] = y[0] * 2
    return y


def renewed(box: Box, n: int):
    if n > 2:
        return Box(box.value * 2, n)
    box.count = n
    return box


def both(x, n: int):
    if n > 2:
        return x * 2, n - 1
    return x, n + 1


def looped(x, n: int, ok: bool):
    total, count = x, 0.5
    for i in range(n % 5):
        if ok and i > 2:
            return total * count
        for j in range(i):
            if j > 1:
                continue
            total = total + j
        count = count + i
    return total - count


def maybe(x, n: int) -> Optional[Tensor]:
    if n > 2:
        return x
    return None


def optional(x, o: Optional[Tensor] = None):
    if o is None:
        return x
    x, o = o, x * 2
    return x + o


def moved(point: Point, n: int) -> Point:
    if n > 3:
        return point
    return Point(point.value + 1, point.count + n)


def shifted(x, by: float = 0.5, times: int = 2):
    for _ in range(times):
        x = x + by
    return x


def searched(items: List[Tensor], least: float) -> int:
    for i, item in enumerate(items):
        if item.sum() > least:
            return i
    return -1


def first_of(items: List[Tensor], n: int):
    while n < 9:
        n += 1
        if n % 3 == 0:
            continue
        if n > 4:
            break
    else_ = items[0]
    if len(items) > n:
        return items[n] + else_
    with torch.no_grad():
        high = else_.max()
    return else_ + high


def filled(numbers: List[int], n: int) -> List[int]:
    made: List[int] = []
    for k in numbers:
        if k == n:
            made.append(-k)
        elif k in made:
            made.insert(0, k)
        else:
            made += [k, n]
    return made


def found_in(numbers: List[int], n: int) -> int:
    found = -1
    for i in range(len(numbers)):
        if numbers[i] == n:
            found = i
            break
    return found % 4


def named(n: int, s: str) -> str:
    if n < 0:
        return f"-{-n}"
    elif n == 3:
        return s
    name = ""
    while n > 0:
        n, digit = n // 2, n % 2
        name = str(digit) + name
    return name


def guarded(x, n: int):
    count = 0
    while count < 50:
        count += 1
        if count > n:
            return x
        x = x * 0.5
        assert count < 50
    return x


def grown(numbers: List[int]):
    if len(numbers) < 6:
        numbers.append(len(numbers))


def shrunk(items: List[Tensor]):
    if len(items) > 1:
        items.pop()


def chosen(s: str, n: int) -> int:
    if s == "x":
        return 1
    elif s == "y" or n > 3:
        return 2
    for letter in s:
        if letter == "a":
            return 3
    return n % 4


def dispatch(x, kind: str):
    if kind == "neg":
        return -x
    if kind in ["abs", "x"]:
        return x.abs()
    return x


def triple(x, n: int):
    if n > 3:
        return x, n - 1, True
    for i in range(n):
        if x[0, 0] > i:
            return x * 2, i, False
    return -x, n, n > 1


def narrowed(x, o: Optional[Tensor], n: int):
    if o is None:
        return x
    if n > 2:
        o = o * 2
    elif n == 1:
        return o
    return x + o


def numbered(n: int, r: float):
    while r > 1 and n < 5:
        r = r / 2
        n += 1
        if n == 3:
            return n, r
    return n, -r


def nested_loops(x, n: int):
    for i in range(3):
        for j in range(3):
            if i * j > n:
                return x
            if j > i:
                break
            x = x + i * j
        else_ = i
        if else_ == n:
            continue
        x = x * 0.5
    return x


def clipped(x, least: float = -1.0, most: Optional[float] = None):
    if most is None:
        most = 1.0
    return x.clamp(least, max(least, most))


def worded(s: str, n: int) -> str:
    words = s.split("x")
    if len(words) > 1 and n > 1:
        return "x".join(words[::-1][:2])
    return s + "y"


def scaled(x, by: Optional[float]):
    return x if by is None else x * by


def split_up(x) -> List[Tensor]:
    rows: List[Tensor] = []
    for row in x:
        rows.append(row)
    return rows


def counted(s: str) -> int:
    counts: Dict[str, int] = {}
    for letter in s:
        counts[letter] = counts.get(letter, 0) + 1
    best = 0
    for letter, count in counts.items():
        if count > best:
            best = count
    return best


def averaged(numbers: List[int]) -> float:
    if not numbers:
        return 0.0
    return sum(numbers) / len(numbers)


def merged(table: Dict[str, Tensor], x):
    for name, value in table.items():
        if name == "1":
            continue
        x = x + value
    return x


def changed(x) -> None:
    x.add_(1)
"""
METHODS = """\
    def method(self, x, n: int):
        if n > 3:
            return x * n
        return self.linear(x) + self.total

    def gated(self, x, scale: Optional[float] = None, flip: bool = False):
        if flip:
            x = -x
        if scale is None:
            return self.linear(x)
        return x * scale

    def again(self, x, n: int):
        for i in range(n):
            x = self.method(x, i)
            if i > 1:
                self.total += 1
                return x
        return x + self.total

    def early(self, x, n: int, flip: bool = False):
        if flip and n > 1:
            return -x
        for layer in self.layers:
            x = layer(x)
            if n > 2:
                return x
        return x * n

    def found(self, items: List[Tensor], n: int) -> Optional[Tensor]:
        for item in items:
            if item.sum() > n:
                return item
        return None

    def record(self, x) -> None:
        self.last = x.detach().clone()
        self.total += 1
"""
