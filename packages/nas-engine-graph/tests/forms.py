"""The statements and conditions of which random programs consist."""

from more_forms import MORE_FORMS

UNARY = ("{a}.sin()", "-{a}", "{a}.abs()", "F.relu({a})", "{a}.t().t()", "{a}.clone()", "self.linear({a})",
          "self.drop({a})", "{a}.cumsum(0)", "{a}.flip(1)", "helper({a})", "self.method({a}, n)",
          "helper(helper({a}))", "self.inner({a}, n)[0]", "self.layers[1]({a})", "looped({a}, n, ok)",
          "{a} * r", "torch.tanh({a})[:, :3]")  # fmt: skip
BINARY = ("{a} + {b}", "{a} * {b}", "{a} - {b} * 2", "torch.maximum({a}, {b})",
           "torch.where({a} > 0, {a}, {b})", "torch.stack([{a}, {b}]).mean(0)")  # fmt: skip
_IN_PLACE = ("{a}.add_({c})", "{a}.mul_({c})", "{a}[0] = {c}", "{a}[:, 1] = {b}[:, 0]", "{a} += {b}",
             "{a}[{b} > 0] = {c}", "{a}[1:, ::2] += {c}", "{a}.t()[0].fill_({c})", "v = {a}[1]\nv.sub_({c})",
             "{a}.clamp_(-3, 3)", "{a}[n % 3] *= {c}")  # fmt: skip
_LISTS = ("items.append({a})", "items[0] = {a}", "{a} = items[-1] + {c}", "items = items + [{a}]",
          "other = items\nother.append({b})", "{a} = items.pop() * {c}\nitems.append({a})",
          "self.total += n", "self.seen.add_({a}.detach().sum())", "items.reverse()", "items = items[1:] + items[:1]",
          "{a} = torch.stack(items).sum(0)", "for t in items[:2]:\n    {a} = {a} + t", "for layer in self.layers:\n    {a} = layer({a})",
          "for j, layer in enumerate(self.layers):\n    {a} = layer({a}) * j\n    n = n + j", "items = [t * 2 for t in items]",
          "for t, k in zip(items[:2], numbers):\n    {a} = {a} * k + t", "items.insert(0, {a})", "items.append({b})\ndel items[0]", "items.extend([{a}, {b}])")  # fmt: skip
_SCALARS = ("n += 1", "n = n * 2 % 7", "n = max(n - 1, 0)", "n = len(items)", "n = {a}.size(0) + n",
            "n = n // 2 + n % 3", "r = r * 0.5 + n", "r = float(n) / 2", "r = r ** 2 % 7", "n = int(r) % 5",
            "r = max(r, 0.5)", "r = -r", "r = n / 2", "r, n = float(n), int(r) % 7", "n, r = abs(n), abs(r)",
            "numbers.append(n)", "n = sum(numbers) % 7", "numbers = [2 * k % 9 for k in numbers]", "numbers.sort()",
            "n = numbers[-1]", "numbers[0] += 1", "numbers.insert(0, n)", "n = n if ok else len(numbers)",
            "for k in numbers[:2]:\n    n = (n + k) % 9", "n += {a}.dim() - 1", "{a}, n = both({a}, n)")  # fmt: skip
_TEXTS = ("s += 'x'", "s = s[-3:] + 'y'", "s = str(n)", "s = s.upper()", "n = len(s)", "s = 'ab' if n > 2 else s",
          "ok = s == 'x'", "ok = 'x' in s", "s = s + s[:1]", "s = '{{}}-{{}}'.format(n, s[:2])", "ok = n > 2", "ok = not ok",
          "ok = ok and n > 1", "ok = ok or bool({a}.sum() > 0)", "ok = (n > 1) == ok", "n += int(ok)",
          "ok = {a}.size(1) == 3 and not ok", "s = f'{{n}}{{s[:1]}}'", "s, ok = 'z', s != 'z'", "s = '{{}}'.format(r)", "s = str(r)[:3]", "n = s.find('y') + 2", "s = s.replace('x', 'yy')[:4]")  # fmt: skip
_TUPLES = ("pair = ({a}, n)", "{a} = pair[0] + {c}", "n = pair[1] % 5", "{a}, n = pair", "pair = (pair[0] * 2, pair[1] + 1)",
           "pair = ({b}, n) if n > 2 else pair", "first, second = pair\npair = (first + second, n)", "point = Point({a}, n)",
           "{a} = point.value + {c}", "n = point.count % 7", "point = moved(point, n)", "value, count = point\n{a} = value * count",
           "point = Point(point.value * 2, point.count)", "pair = (point.value, point.count)", "point.value.add_({c})")  # fmt: skip
_DICTS = ("table['k'] = {a}", "{a} = table['k'] * {c}", "table[str(n % 3)] = {a}", "n = len(table)", "table = {{'k': {a}}}",
          "if '1' in table:\n    {a} = table['1'] + {b}", "for name, v in table.items():\n    {a} = {a} + v", "table.update({{'1': {b}}})",
          "n = len(list(table.keys()))", "{a} = table.get('2', {b})", "for v in table.values():\n    v.add_({c})",
          "{a} = table.pop('1', {b})", "table['k'].mul_({c})", "for key in table:\n    s = key")  # fmt: skip
_OPTIONALS = ("o = {a}", "o = None", "if o is not None:\n    {a} = {a} + o", "{b} = {a} if o is None else o", "{a} = optional({a}, o)",
              "if o is None:\n    o = {a}\n{b} = {b} + o", "o = maybe({a}, n)", "ok = o is None", "o = maybe({a}, n) if ok else o",
              "if o is not None and n > 1:\n    o = o * 2", "if o is not None:\n    o.add_({c})\nelse:\n    o = {b}",
              "w = maybe({b}, n)\nif w is not None:\n    {a} = w")  # fmt: skip
_MIXED = ("m = 0", "m = 0.5", "m = n * {c}", "m = {a}.sum()", "m += {a}.detach().mean()", "m = m * 2",
          "{b} = {a} * m", "m = n > 1 and {c}", "m = n or {c}", "m = {c} if n > 2 else n", "m -= 1",
          "q = m\nm *= 2\n{a} = {a} + q", "m = n if {a}.sum() > 0 else {c}", "m = 1 - m", "m = True",
          "n += int(m > 1)")  # fmt: skip
_OBJECTS = ("box.value = {a}", "{a} = box.value + {c}", "box.count += n", "n = box.count % 7", "box.items.append({a})",
            "other_box = box", "box = Box({a}, n)", "box.scale(float({c}))", "{a} = box.scaled(float({c})) + {b}", "boxes.append(box)",
            "box = boxes[-1]", "boxes[0].count += 1", "box.value.add_({c})", "self.box.count += n", "n += len(box)",
            "self.box.value = {a}.detach()", "{b} = {b} + self.box.value", "box = box + boxes[0]", "box = renewed(box, n)",
            "self.box.scale(float({c}))", "n = box.doubled", "boxes = boxes + [renewed(box, 2)]", "box.items = items",
            "other_box = boxes[0]\nbox.value, other_box.value = other_box.value, box.value")  # fmt: skip
_SLICES = ("{a} = {a}[-3:, ::1] + {c}", "{a} = torch.cat([{a}[:1], {b}[1:]], 0)", "{a} = torch.cat([{a}[-1:], {a}[:-1]])",
           "{a} = {a}[:, [2, 0, 1]]", "{a} = {a}[..., 0].unsqueeze(1).expand(3, 3) + {b}", "{a} = {a}[None].squeeze(0)",
           "{a} = {a}[n % 3] + {b}", "{a} = {a}[{b}[0] > 0].sum(0) + {b}", "{a} = {a}[::2].sum(0, keepdim=True) + {b}",
           "numbers = numbers[::2] + [n]", "numbers = numbers[-2:]", "s = s[1:-1] + 'x'", "items = items[-2:]",
           "{a} = {a}[-1, :, None] + {b}", "{a} = {a}.unbind(0)[n % 3] * {b}", "{a}, {b} = {a}.chunk(2)[0][:1] + {b}, {a}")  # fmt: skip
_VIEWS = ("v = {a}.reshape(-1)\nv[2:5] = {c}", "u = {a}.t()\nu += {c}", "{a}[0, 1] = {b}[2, 0]", "{a}[:, 0].mul_({c})",
          "{a}.diagonal().add_({c})", "{a}[..., 1:] -= {c}", "{a}[[0, 2]] = {c}", "{a}.narrow(0, 1, 2).zero_()",
          "v = {a}.chunk(3)[1]\n{b} = {b} + v", "{a}.masked_fill_({b} > 1, {c})", "{a}.copy_({b})", "{a}[1] = {a}[0]",
          "{a} *= {b}", "{a} /= 2", "{a} -= {b}.detach()", "v = {a}.select(0, n % 3)\nu = v[1:]\nu.mul_({c})",
          "{a}[-1, ::2] = {b}[0, 1:]", "v = {a} if ok else {b}\nv.add_({c})", "for v in {a}:\n    {b} = {b} + v",
          "for v, u in zip({a}, {b}):\n    n = n + int(v[0] > u[0])", "{a}[1:][0] += {c}", "items[-1].mul_({c})", "pair[0].add_({c})")  # fmt: skip
_INTEGERS = ("n = -n // 2 % 5", "n = (n - 7) % 4", "n = (n - 7) // 2 % 6", "n = int(-r) % 5", "r = round(r) / 2",
             "n, k = divmod(n + 5, 3)\nn = n + k", "n = n ** 2 % 7", "n = n << 1 & 7", "n = n | 1", "n = (n ^ 3) % 8", "n = n >> 1",
             "n = min(n, 4)", "n = max(numbers) % 6", "n = min(numbers) % 6", "r = sum([r, 0.5])", "r = abs(-r) + 1", "r = float(s == 'x')",
             "n = int('3') + n % 3", "r = float('0.5') + r", "r = r // 1", "r = -r % 3", "r = r - n // 2", "n = int(bool(n)) + 1",
             "ok = bool(n)", "ok = any([n > 2, ok])", "ok = all([k > 0 for k in numbers])", "r = math.sqrt(abs(r))", "n = math.floor(r) % 5",
             "n = 1 if n > 3 else 2 if ok else n % 5", "r = min(r, 0.5) + max(n, 1)", "n -= 3", "n *= 2\nn %= 9", "n //= 2", "r /= 2",
             "r **= 2\nr %= 5", "n = -n % 4", "n = int({a}.numel() / 2) + n % 3", "r = float({a}.sum().item()) % 3", "n = n % -4 + 4",
             "n = int({a}.sum() > 0)", "r = float(n) if ok else -0.5", "n = abs(n - 3)", "ok = not n")  # fmt: skip
_CHANGES = ("for k in numbers[:2]:\n    numbers.append(k)", "for j in range(2):\n    table[str(j)] = {a} * j", "while len(numbers) > 4:\n    n += numbers.pop()",
            "while len(items) > 3:\n    {a} = items.pop()", "for key, v in table.items():\n    if key == 'k':\n        {b} = v",
            "for j in range(len(items)):\n    items[j] = items[j] + j", "if len(numbers) > 3:\n    numbers.remove(numbers[0])",
            "numbers = sorted(numbers)", "numbers.sort(reverse=True)", "numbers = list(range(n % 3 + 1))", "numbers = [j * 2 for j in range(3)]",
            "numbers += [n]", "numbers = numbers[:3] * 2", "table = {{key: v * 2 for key, v in table.items()}}", "if '1' in table:\n    del table['1']",
            "table.setdefault('3', {a})", "table.clear()\ntable['k'] = {b}", "numbers[n % 2 - 1] = n", "numbers[-1] -= 1", "{a} = items[n % 2 - 1]",
            "items = [{a}] + items[:2]", "copied = table.copy()\ncopied['k'] = {a}", "ok = n in numbers", "n = numbers.index(numbers[-1])",
            "nested = [numbers + [n], [n]]\nnested[0].append(3)\nn = len(nested[-1])", "shapes = [list(t.shape) for t in items]\nn = shapes[0][0]",
            "boxes[-1].items.append({a})", "boxes = [box] + boxes[:1]", "for other_box in boxes:\n    other_box.count += 1",
            "many = [(t, n) for t in items[:2]]\n{a}, n = many[-1]", "queue = [{a}, {b}]\nwhile len(queue) > 0:\n    {a} = queue.pop(0)")  # fmt: skip
_TAKING = ("({a}, n), s = ({b}, n), s", "{a}, {b} = {b}, {a}", "({a}, {b}), n = ({b}, {a}), n % 5 + 1", "{a} = {b} = {a} + {c}",
           "couple = {a}, n\n{b} = couple[0] * couple[1]", "pair = (pair[0], n) if ok else pair", "a, b, c_ = b, c_, a", "n, r = n + 1, r + n",
           "(n, ok), k = (n % 5, n > 2), 3\nn += k", "{a}, n = pair if n > 2 else ({b}, 1)", "high, at = {a}.max(0)\n{b} = {b} + high + at",
           "n, k = {a}.shape\nn = n + k - 3", "numbers[0], numbers[-1] = numbers[-1], numbers[0]", "value, n = moved(point, n % 4)",
           "{a} = both(*pair)[0]", "for t, k in [pair, ({b}, 2)]:\n    {a} = t * k", "{a}, perhaps = optional({a}, o), maybe({b}, n)")  # fmt: skip
_CALLS = ("{a} = shifted({a})", "{a} = shifted({a}, times=n % 3)", "{a} = shifted({a}, float({c}))", "{a} = shifted(by=r, x={a})",
          "{a} = self.gated({a})", "{a} = self.gated({a}, r, flip=ok)", "{a} = self.gated({a}, flip=not ok)", "n = searched(items, r) % 5",
          "{a}, *_ = both({a}, n)", "o = first_of(items, n)", "{a} = first_of(items, 1)", "{a} = self.again({a}, n % 4)", "numbers = filled(numbers, n)[:4]",
          "{a} = self.gated(x={b}, scale=None)", "n = found_in(numbers, n)", "s = named(n, s)", "{a} = guarded({a}, n % 3)")  # fmt: skip
_SPELLINGS = ("s = s.split('x')[0] + 'x'", "s = '-'.join([s[:2], 'x'])", "s = s.strip('x') + 'x'",
              "s = '%d-%s' % (n, s[:1])", "ok = s.startswith('x')", "s = s.lower()", "n = s.count('x')", "s = s[-1:] + s[:-1]",
              "ok = s < 'y'", "ok = not s", "s = f'{{r}}{{ok}}'[:4]", "ok = len(s) > 2 and s[0] == 'x'", "s = str(ok)", "s = str(numbers)[:4]",
              "for letter in s[:2]:\n    n += len(letter)", "s = 'a' if ok else s or 'b'", "ok = s in ['x', 'y']", "ok = n == 3 or s != 'x'")  # fmt: skip
_CLAIMS = ("assert n < 10 ** 6", "assert {a}.size(0) == 3, 'size'", "assert o is None or n > -100", "if n > 1000:\n    raise ValueError('large')",
           "if {a}.dim() != 2:\n    raise RuntimeError(f'{{n}} dims')\nelse:\n    n = n % 9", "assert not (n < -1000 and ok)",
           "pass", "if ok:\n    pass\nelif n > 1:\n    n -= 1", "if not (n > 1):\n    {a} = {b}", "{a}.sum()", "n", "ok = True")  # fmt: skip
CONDITIONS = ("{a}.sum() > 0", "n > 2", "self.training", "n % 2 == 0 and {a}.mean() < {c}", "not self.flag",
               "len(items) > 2 or n == 1", "{a}.size(0) == 3", "self.flag",
               "box is boxes[0]", "ok", "o is None", "o is not None and n > 1", "s == 'x'", "not ok or r > 1", "len(table) > 2",
               "'1' in table", "n in numbers", "not numbers[0]", "o is not None and (n > 2 or ok)", "not (o is None or ok)",
               "ok and s == 'x' or n > 2", "bool({a}.any())", "any([k > n for k in numbers])", "n % 3 != -n % 3", "isinstance(o, Tensor)",
               "{a}.sum().item() > r", "len(numbers) == 2 and numbers[-1] > 1", "point.count > pair[1]", "ok != (n > 2)", "r < n < 5", "box.count > 2", "len(box) > len(boxes)")  # fmt: skip
ROUNDS = ("i in range(3)", "i in range(1, 6, 2)", "i in range(n % 4)", "i in [1, 5]", "i in range(2, 0, -1)", "i in numbers[:3]",
           "i in range(n, n + 2)", "i in range(-1, 2)", "i, k in enumerate(numbers[:2])", "i, t in enumerate(items[:2])", "i, k in zip(range(3), numbers)",
           "i in range(len(numbers[:4]))", "i in range(3, -1, -2)", "i in [n, 2]", "i, (k, t) in enumerate(zip(numbers, items[:2]))",
           "i in range(min(n, 3))", "i, t in zip(numbers, {a})")  # fmt: skip
FORMS = {"write": _IN_PLACE, "list": _LISTS, "scalar": _SCALARS, "mixed": _MIXED,
          "object": _OBJECTS, "text": _TEXTS, "tuple": _TUPLES, "dict": _DICTS, "optional": _OPTIONALS,
          "slice": _SLICES, "view": _VIEWS, "integer": _INTEGERS, "change": _CHANGES, "taking": _TAKING,
          "call": _CALLS, "spelling": _SPELLINGS, "claim": _CLAIMS, **MORE_FORMS}  # fmt: skip
