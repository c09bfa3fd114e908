"""What can't be right is refused, with place and advice, and leaves nothing behind."""

import collections
import contextlib
import functools
import sys
import types
import warnings

import nas_core as nas
import pytest
import torch
from torch import nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.ir import parse
from nas_engine_graph.testing import assert_same_behaviour

# TorchScript says that it is deprecated wherever it is called.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
# Generated source imports the classes of this file by its name, which pytest makes no identifier.
sys.modules["test_refusals"] = sys.modules[__name__]
__name__ = "test_refusals"


class Lambda(nn.Module):
    def forward(self, x):
        return (lambda y: y * 2)(x)


class Holder(nn.Module):
    def __init__(self, child):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.child = child

    def forward(self, x):
        return self.child(self.linear(x))


class UnreadableCall(nn.Module):
    def __call__(self, *args, **kwargs):
        return super().__call__(*args, **kwargs) * len(args)

    def forward(self, x):
        return x


class SaysWhatIsGiven(nn.Module):
    """Only where it is told to."""

    def __init__(self, says):
        super().__init__()
        self._says = says

    def __call__(self, *args, **kwargs):
        if self._says:
            print(len(args))
        return super().__call__(*args, **kwargs)

    def forward(self, x):
        return x


class TakesWhatMayNotBeThere(nn.Module):
    def __call__(self, *args):
        return super().__call__(*args) + args[1]

    def forward(self, x, y=None):
        return x if y is None else x + y


def one_says_what_is_given() -> nn.Module:
    return nn.Sequential(SaysWhatIsGiven(says=False), SaysWhatIsGiven(says=True))


class SavesHalf(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"] = destination[prefix + "weight"] / 2


class SavesSometimes(SavesHalf):
    """What it saves depends on what it learns."""

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        nn.Linear._save_to_state_dict(self, destination, prefix, keep_vars)
        if self.weight.sum() > 1e6:
            del destination[prefix + "bias"]


class LoadsByElements(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)
        self.scale = 1.0

    def _load_from_state_dict(self, state_dict, prefix, *args):
        if state_dict[prefix + "weight"].sum() > 1e6:
            self.scale = state_dict[prefix + "weight"].max()
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x):
        return super().forward(x) * self.scale


class ScaleOfOnes(nn.Module):
    def forward(self, x):
        return x + 1


class LeftMethodWithHelp(nn.Module):
    """Generated code has no such helper."""

    def helped(self, x):
        return x * 2

    @torch.jit.ignore
    def other(self, x):
        return self.helped(x) * len({"a", "b"})

    def forward(self, x):
        return self.other(x)


class LeftMethodThatCounts(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 1

    @torch.jit.ignore
    def counted(self, x):
        self.count += len({"a", "b"})
        return x

    def forward(self, x):
        before = self.count
        return self.counted(x) * before


class TrainFreezes(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def train(self, mode: bool = True):
        super().train(mode)
        for p in self.linear.parameters():
            p.requires_grad = False
        return self

    def forward(self, x):
        return self.linear(x)


class Changed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.conv.weight = nn.Parameter(torch.zeros(5, 3, 3, 3))

    def forward(self, x):
        return self.conv(x)


@nas.basic_unit
class Unit(nn.Module):
    def __init__(self, factor, bias=0.0):
        super().__init__()
        self.f = factor
        self.weight = nn.Parameter(torch.ones(3))
        self.offset = bias

    def forward(self, x):
        total = x
        for step in iter([1, 2]):
            total = total + step * self.f
        return total * self.weight + self.offset


def round(x):
    return x * 3


class HidesBuiltin(nn.Module):
    def forward(self, x):
        return round(x)


class AsksForType(nn.Module):
    def forward(self, x):
        factor = len(x) * 2 if len(x) > 2 else 0.5
        return x if isinstance(factor, float) else x + 1


class JoinsUnclear(nn.Module):
    def forward(self, x):
        _, expected = x.dim(), (2, 4)
        return x.shape == expected


class KeepsView(nn.Module):
    def forward(self, x):
        names = {"a": x}.keys()
        return names[0], names


def keyword_after_default(x, a: int = 1, *, b: int):
    return x * a + b


class KeywordAfterDefault(nn.Module):
    def forward(self, x):
        return keyword_after_default(x, b=2)


class TakesTorch(nn.Module):
    def forward(self, x, torch):
        return x + torch


class HoldsDefaultdict(nn.Module):
    def __init__(self):
        super().__init__()
        self.counts = collections.defaultdict(int, a=1)

    def forward(self, x):
        return x * self.counts["a"]


class HoldsList(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = [1]
        self.all = [[2]]

    def forward(self, x):
        self.last.append(1)
        return x * len(self.all[0])


class SharedCache(nn.Module):
    def __init__(self, cache):
        super().__init__()
        self.cache = cache

    def train(self, mode: bool = True):
        self.cache.clear()
        return super().train(mode)

    def forward(self, x):
        self.cache.append(1)
        return x * len(self.cache)


def shared_cache() -> nn.Module:
    cache = [1]
    return nn.Sequential(SharedCache(cache), SharedCache(cache))


def with_gaps() -> nn.Module:
    made = Holder(nn.BatchNorm1d(3))
    made.child.running_var = torch.ones(3, 2)[:, 0]
    return made


def expanded() -> nn.Module:
    made = Holder(nn.Linear(3, 3))
    made.child.weight = nn.Parameter(torch.randn(3, 1).expand(3, 3))
    return made


def with_replaced_forward() -> nn.Module:
    made = Holder(nn.ReLU())
    made.child.forward = lambda x: x * 7
    return made


class TakenApart(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3))
        self.first, self.second = self.weight.unbind()

    def forward(self, x):
        return x * self.first + self.second


def taken_apart_and_loaded() -> nn.Module:
    made = TakenApart()
    made.load_state_dict(made.state_dict())
    return made


def sharing_memory() -> nn.Module:
    made = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    memory = torch.zeros(4)
    made[0].running_mean, made[1].num_batches_tracked = memory[:3], memory[2:].view(torch.int64)[0]
    return made


class SharesWithARate(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 4))
        self.register_buffer("part", self.weight.detach()[:, :3])
        self.part.rate = object()

    def forward(self, x):
        return x @ self.weight @ self.part.t()


class ScaledOnce(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("scaled", self.weight * 2)

    def forward(self, x):
        return x * self.scaled


def twice(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) * 2

    return wrapper


class Decorated(nn.Module):
    @twice
    def forward(self, x):
        return x + 1


@twice
def plus_one(x):
    return x + 1


class CallsDecorated(nn.Module):
    def forward(self, x):
        return plus_one(x)


@contextlib.contextmanager
def timed():
    yield


class DecoratedByContext(nn.Module):
    @timed()
    def forward(self, x):
        return x + 1


def hooked_parameter() -> nn.Module:
    made = Holder(ScaleOfOnes())
    made.linear.weight.register_hook(lambda gradient: gradient * 2)
    return made


def hooked_inside_layer() -> nn.Module:
    made = Holder(nn.TransformerEncoderLayer(4, 2, 8))
    made.child.linear1.register_forward_hook(lambda module, args, output: output * 2)
    return made


def hooked() -> nn.Module:
    made = Holder(ScaleOfOnes())
    made.child.register_forward_hook(lambda module, args, output: output * 2)
    return made


def hooked_loading() -> nn.Module:
    made = Holder(ScaleOfOnes())
    made.child.register_load_state_dict_pre_hook(lambda module, state, *args: state.clear())
    return made


def hooked_after_loading() -> nn.Module:
    made = Holder(nn.ReLU())
    made.child.register_load_state_dict_post_hook(lambda module, keys: None)
    return made


def without_file() -> nn.Module:
    scope = {"nn": nn}
    text = "class Typed(nn.Module):\n    def forward(self, x):\n        return x + 1"
    exec(compile(text, "<typed>", "exec"), scope)
    return Holder(scope["Typed"]())


class CallsTyped(nn.Module):
    def forward(self, x):
        return typed(x)


typed = eval(compile("lambda x: x + 1", "<typed>", "eval"))


def marked_weight() -> nn.Module:
    made = Holder(ScaleOfOnes())
    made.child.weight = nn.Parameter(torch.ones(2))
    made.child.weight.owner = object()
    return made


class Doubles(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        state_dict[prefix + "weight"] = state_dict[prefix + "weight"] * 2
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x):
        return x * self.weight


class AsksForClass(nn.Module):
    """Which TorchScript answers with no."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(ScaleOfOnes(), nn.ReLU())

    def forward(self, x):
        for layer in self.layers:
            found = layer
            if isinstance(found, ScaleOfOnes):
                x = x + 1
        return x


def hooked_unit() -> nn.Module:
    made = Holder(Unit(2))
    made.child.register_forward_hook(lambda module, args, output: output * 2)
    return made


def hooked_weight_of_unit() -> nn.Module:
    made = Holder(Unit(2))
    made.child.weight.register_hook(lambda gradient: gradient * 2)
    return made


def hooked_parametrization() -> nn.Module:
    made = Holder(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)))
    made.child.register_forward_hook(lambda module, args, output: output * 2)
    return made


def unit_with_replaced_method() -> nn.Module:
    made = Holder(Unit(2))
    made.child.forward = lambda x: x
    return made


class Checkpoints(nn.Module):
    def forward(self, x):
        x = x + 1
        return torch.utils.checkpoint.checkpoint(torch.relu, x)


class HandsOnFutures(nn.Module):
    def forward(self, x):
        futures = {"x": torch.jit.fork(helped, x)}
        return futures.get("x"), x


class StartsInside(nn.Module):
    def forward(self, x):
        return torch.jit.fork(helped, x)


class HandsOnWhatIsInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = StartsInside()

    def forward(self, x):
        return self.inner(x)


class MayGiveAFuture(nn.Module):
    def forward(self, x):
        future: torch.jit.Future[torch.Tensor] | None = None
        if x.sum() > 0:
            future = torch.jit.fork(helped, x)
        return future


class KeepsAFuture(nn.Module):
    def forward(self, x):
        self.kept = torch.jit.fork(helped, x)
        return torch.jit.wait(self.kept)


class KeepsFutures(nn.Module):
    kept: list[torch.jit.Future[torch.Tensor]]

    def __init__(self):
        super().__init__()
        self.kept = []

    def forward(self, x):
        self.kept.append(torch.jit.fork(helped, x))
        return self.kept[0].wait()


class AsksAFuture(nn.Module):
    def forward(self, x):
        future = torch.jit.fork(helped, x)
        return x if future.done() else future.wait()


class LoopsOverSlice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = 1
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

    def forward(self, x):
        for layer in self.layers[self.first :]:
            x = layer(x)
        self.first = 2
        return x


class SharesVariable(nn.Module):
    """TorchScript would call the last of all layers twice."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        rest = self.layers[:2]
        for layer in rest:
            x = layer(x)
        return layer(x)


@nas.basic_unit
class UnitThatAppends(nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x):
        self.seen.append(1)
        return x * len(self.seen)


@nas.basic_unit
class UnitThatReads(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self._sizes = sizes

    def forward(self, x):
        return x * len(self._sizes) + sum(s for s in self._sizes) + self._sizes[0]


def units_with_one_list() -> nn.Module:
    seen = [1]
    return nn.Sequential(UnitThatReads(seen), UnitThatAppends(seen))


def unit_with_the_list_of_another() -> nn.Module:
    made = HoldsList()
    return nn.Sequential(UnitThatReads(made.last), made)


def test_units_may_share_what_nobody_changes() -> None:
    sizes = [1, 2]
    module = nn.Sequential(UnitThatReads(sizes), UnitThatReads(sizes), UnitThatAppends([1]))
    assert_same_behaviour(module, convert(module).instantiate(), torch.randn(2, 3))


class HandsOn(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x, **more):
        return self.inner(x, **more)


class GivesMore(Holder):
    def __init__(self):
        super().__init__(HandsOn())

    def forward(self, x):
        return self.child(x, scale=2.0)


def undeclared(x, **more):
    return None if more else x


class CallsUndeclared(nn.Module):
    def forward(self, x):
        return x if undeclared(x, scale=2.0) is None else x * 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (SharesVariable, ["test_refusals.py:", "the variable of a loop over modules"]),
        (LoopsOverSlice, ["test_refusals.py:", "`self.layers[self.first :]`"]),
        (hooked_unit, ["test_refusals.py:", "hook (forward_hooks)", "constructor", "'child'"]),
        (hooked_weight_of_unit, ["hook (weight: backward_hooks)", "'child'"]),
        (hooked_parametrization, ["test_refusals.py:", "hook (forward_hooks)", "'child'"]),
        (unit_with_replaced_method, ["'forward' was replaced", "'child'"]),
        (HandsOnFutures, ["test_refusals.py:", "a future", "is returned inside of something else"]),
        (MayGiveAFuture, ["test_refusals.py:", "a future", "is returned inside of something else"]),
        (HandsOnWhatIsInside, ["test_refusals.py:", "is returned inside of something else"]),
        (KeepsAFuture, ["test_refusals.py:", "a future", "an attribute keeps"]),
        (KeepsFutures, ["test_refusals.py:", "a future", "an attribute keeps"]),
        (AsksAFuture, ["test_refusals.py:", "a future", "is asked for 'done'"]),
        (Checkpoints, ["test_refusals.py:", "'checkpoint'"]),
        (lambda: Holder(Lambda()), ["test_refusals.py:", "basic_unit"]),
        (
            lambda: Holder(nn.LazyLinear(2)),
            ["a LazyLinear, which gets its sizes from its first input (in module 'child')"],
        ),
        (TakesWhatMayNotBeThere, ["test_refusals.py:", "items that are always there"]),
        (lambda: Holder(UnreadableCall()), ["test_refusals.py:", "__call__", "'args'", "'child'"]),
        (
            one_says_what_is_given,
            ["test_refusals.py:", "'args'", "name what it uses", "module '1'"],
        ),
        (lambda: Holder(SavesHalf()), ["test_refusals.py:", "_save_to_state_dict", "'child'"]),
        (lambda: Holder(SavesSometimes()), ["test_refusals.py:", "_save_to_state_dict", "'child'"]),
        (lambda: Holder(LoadsByElements()), ["test_refusals.py:", "_load_from_state_dict"]),
        (hooked, ["hook", "'child'"]),
        (AsksForClass, ["test_refusals.py:", "`isinstance(found, ScaleOfOnes)`"]),
        (hooked_loading, ["test_refusals.py:", "hook (load_state_dict_pre_hooks)", "'child'"]),
        (hooked_after_loading, ["hook (load_state_dict_post_hooks)", "'child'"]),
        (without_file, ["test_refusals.py:", "'Typed' is not in a file", "'child'"]),
        (CallsTyped, ["test_refusals.py:", "'<lambda>' is not in a file"]),
        (marked_weight, ["test_refusals.py:", "'weight'", "'owner'", "object"]),
        (lambda: Holder(Doubles()), ["test_refusals.py:", "_load_from_state_dict", "others"]),
        (hooked_parameter, ["hook (weight: backward_hooks)", "'linear'"]),
        (hooked_inside_layer, ["hook (forward_hooks)", "'child'"]),
        (lambda: Holder(Decorated()), ["test_refusals.py:", "'twice' of 'forward'", "'child'"]),
        (CallsDecorated, ["test_refusals.py:", "'twice' of 'plus_one'"]),
        (DecoratedByContext, ["test_refusals.py:", "'timed' of 'forward'"]),
        (lambda: Holder(LeftMethodWithHelp()), ["test_refusals.py:", "Set"]),
        (LeftMethodThatCounts, ["test_refusals.py:", "a read of 'count'", "torch.jit.ignore"]),
        (with_replaced_forward, ["forward was replaced", "'child'"]),
        (
            sharing_memory,
            [
                "'num_batches_tracked'",
                "type",
                "part of the memory of '0.running_mean': copy",
                "'1'",
            ],
        ),
        (SharesWithARate, ["test_refusals.py:", "'part' has the attribute 'rate'"]),
        (taken_apart_and_loaded, ["test_refusals.py:", "'first' is a view by `unbind`", "before"]),
        (ScaledOnce, ["test_refusals.py:", "'scaled' is computed of what needs a gradient"]),
        (lambda: torch.jit.script(ScaleOfOnes()), ["scripted module (ScaleOfOnes)", "made of"]),
        (TrainFreezes, ["train"]),
        (HidesBuiltin, ["test_refusals.py:", "'round'"]),
        (AsksForType, ["test_refusals.py:", "has type int", "has type float"]),
        (JoinsUnclear, ["test_refusals.py:", "a list or a tuple"]),
        (KeepsView, ["test_refusals.py:", "list(...)"]),
        (TakesTorch, ["test_refusals.py:", "an argument called 'torch'"]),
        (HoldsDefaultdict, ["test_refusals.py:", "'counts'", "defaultdict"]),
        (units_with_one_list, ["test_refusals.py:", "'seen'", "also '0._sizes'", "'1'"]),
        (unit_with_the_list_of_another, ["test_refusals.py:", "'last'", "also '0._sizes'", "'1'"]),
        (KeywordAfterDefault, ["test_refusals.py:", "'b'", "without a default"]),
        (shared_cache, ["test_refusals.py:", "'cache'", "is also '0.cache'", "sets anew", "'1'"]),
        (with_gaps, ["'child'", "'running_var' has the strides (2,), with others' elements"]),
        (expanded, ["'child'", "strides (1, 0): several elements are one"]),
        (GivesMore, ["test_refusals.py:", "argument scale unknown"]),
        (CallsUndeclared, ["test_refusals.py:", "variable number of arguments"]),
        (Changed, ["'conv'", "weight"]),
        (lambda: nn.Linear(3, 3), ["Linear"]),
    ],
)
def test_refusal_says_what_and_where(make, words) -> None:
    with pytest.raises(UnsupportedModuleError) as caught:
        convert(make())
    for word in words:
        assert word in str(caught.value)


def test_a_refused_module_leaves_no_poison() -> None:
    for _ in range(2):
        with pytest.raises(UnsupportedModuleError):
            convert(Holder(Lambda()))
    assert convert(Holder(ScaleOfOnes())) == convert(Holder(ScaleOfOnes()))
    torch.jit.script(Holder(ScaleOfOnes()))


class AsksWhetherScripting(nn.Module):
    def forward(self, x):
        return branch(x)


def branch(x):
    if torch.jit.is_scripting():
        return x * 100
    return x + 1


def test_the_users_own_scripting_is_not_touched() -> None:
    module, x = AsksWhetherScripting(), torch.ones(2)
    assert torch.equal(convert(module).instantiate()(x), module(x))
    assert torch.equal(torch.jit.script(module)(x), x * 100)
    assert torch.equal(convert(module).instantiate()(x), module(x))


def test_conversion_does_not_touch_module_or_random_state() -> None:
    torch.manual_seed(3)
    module = Holder(nn.Sequential(nn.Conv1d(3, 3, 1), nn.Dropout(0.5)))
    before = {n: t.clone() for n, t in module.state_dict().items()}
    attributes = {n: dict(vars(m)) for n, m in module.named_modules()}
    state = torch.get_rng_state()
    convert(module)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())
    assert {n: dict(vars(m)) for n, m in module.named_modules()}.keys() == attributes.keys()
    for name, child in module.named_modules():
        assert vars(child).keys() == attributes[name].keys()


def test_basic_unit_stays_whole() -> None:
    module = Holder(Unit(2.0, bias=0.5))
    graph = convert(module)
    assert "Unit(2.0, bias=0.5)" in graph.to_source()
    assert_same_behaviour(module, graph.instantiate(), torch.randn(2, 3))


@nas.basic_unit
class Lenient(nn.Module):
    def forward(self, x: torch.Tensor, scale: float = 2.0, *more, **options) -> torch.Tensor:
        return x * scale + len(more) + len(options)


def test_basic_unit_may_take_any_arguments() -> None:
    module = Holder(Lenient())
    assert_same_behaviour(module, convert(module).instantiate(), torch.randn(2, 3))


def test_unsupported_module_can_be_kept_whole() -> None:
    module = Holder(Lambda())
    with pytest.warns(UserWarning, match="kept as a basic unit"):
        graph = convert(module, on_unsupported="basic_unit")
    assert_same_behaviour(module, graph.instantiate(), torch.randn(2, 3))


def test_only_what_is_unsupported_is_kept_whole() -> None:
    module = Holder(nn.Sequential(Holder(UnreadableCall()), Holder(ScaleOfOnes())))
    with pytest.warns(UserWarning, match="__call__"):
        graph = convert(module, on_unsupported="basic_unit")
    source = graph.to_source()
    assert_same_behaviour(module, graph.instantiate(), torch.randn(2, 3))
    assert "UnreadableCall()" in source and "class ScaleOfOnes" in source


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([ScaleOfOnes(), nn.ReLU()])

    def forward(self, x):
        for index in range(len(self.layers)):
            x = self.layers[index](x)
        return (lambda y: y * 2)(x)


def test_lists_of_modules_are_not_kept_whole() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnsupportedModuleError, match=r"Lambda|lambda"):
            convert(Layers(), on_unsupported="basic_unit")


def test_conversion_is_quiet() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(Holder(ScaleOfOnes()))


@nas.basic_unit
class Warns(nn.Module):
    def __init__(self):
        super().__init__()
        warnings.warn("from the user's constructor", stacklevel=1)

    def forward(self, x):
        return helped(x)


def helped(x):
    return x * 2


class CallsFunctions(nn.Module):
    def forward(self, x):
        return helped(x)


def test_only_what_torchscript_says_of_itself_is_silenced() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        module = Holder(nn.Sequential(Warns(), CallsFunctions()))
        convert(module)
        torch.jit.script(CallsFunctions())
    texts = [str(warning.message) for warning in heard]
    assert texts.count("from the user's constructor") == 2, "made, and made again"
    assert sum("torch.jit.script" in text for text in texts) == 2, "the user's own calls"


def test_python_without_torchscript_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    conversion = sys.modules["nas_engine_graph.frontend.conversion"]
    conversion._say_unsupported.cache_clear()
    monkeypatch.setattr(conversion, "sys", types.SimpleNamespace(version_info=(3, 14, 0)))
    with pytest.warns(RuntimeWarning, match="TorchScript.*Python 3.14.*engine 'py'") as heard:
        assert [convert(Holder(ScaleOfOnes())) for _ in range(2)]
    assert [warning.filename for warning in heard] == [__file__]
    conversion._say_unsupported.cache_clear()


def test_mode_and_partly_evaluating_modules() -> None:
    module = Holder(nn.BatchNorm1d(3))
    module.child.eval()
    twin = convert(module).instantiate()
    assert [m.training for m in twin.modules()] == [m.training for m in module.modules()]
    module.eval()
    twin = convert(module).instantiate()
    assert [m.training for m in twin.modules()] == [m.training for m in module.modules()]


class Drops(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.more = nn.Dropout(), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))
        self.layer = nn.TransformerEncoderLayer(3, 1, 4)

    def forward(self, x):
        return self.layer(self.more(self.drop(x)))


class HoldsDrops(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = Drops(), Drops()

    def forward(self, x):
        return self.last(self.first(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("trained", [["drop"], ["more", "layer.dropout"], ["layer.self_attn"]])
def test_training_mode_inside_of_eval_mode(training: bool, trained: list[str]) -> None:
    module, x = HoldsDrops().train(training), torch.randn(4, 3)
    module.first.eval()
    for name in trained:
        module.first.get_submodule(name).train()
    graph = convert(module)
    twin = graph.instantiate()
    twin.load_state_dict(module.state_dict())
    assert [m.training for m in twin.modules()] == [m.training for m in module.modules()]
    torch.manual_seed(0)
    first = module(x)
    torch.manual_seed(0)
    assert torch.equal(twin(x), first)
    assert convert(twin) == graph == parse(str(graph)) != convert(HoldsDrops())


def test_a_module_without_forward_is_refused() -> None:
    with pytest.raises(UnsupportedModuleError, match="ModuleList has no method forward"):
        convert(nn.ModuleList([nn.Linear(2, 2)]))


class WithoutInit(nn.Module):
    def __init__(self):
        pass

    def forward(self, x):
        return x


def test_what_is_no_module_is_named() -> None:
    with pytest.raises(
        TypeError, match="takes a torch.nn.Module, not a value of type 'OrderedDict'"
    ):
        convert(nn.Linear(2, 2).state_dict())
    with pytest.raises(TypeError, match=r"a module, not its class: write WithoutInit\(…\)"):
        convert(WithoutInit)
    with pytest.raises(UnsupportedModuleError, match="does not call super") as refused:
        convert(WithoutInit())
    assert refused.value.place.file == __file__
    with pytest.raises(UnsupportedModuleError, match=r"a module that torch.compile has made"):
        convert(torch.compile(nn.Sequential(nn.Linear(2, 2))))


class NamesAnother(nn.Module):
    def forward(self, x):
        return torch.ops.aten.add.Tensor(x, 2)


def test_an_overload_that_torchscript_does_not_take_is_refused() -> None:
    with pytest.raises(UnsupportedModuleError, match="'Tensor' of 'add'"):
        convert(NamesAnother())
