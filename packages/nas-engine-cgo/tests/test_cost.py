"""How many members are merged: bounded by memory, remembered, and never a reason to fail."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from nas_core import Architecture, Candidate
from nas_engine_cgo import cache
from nas_engine_cgo.cost import Memory, choose, timing
from nas_engine_cgo.cost import probe as probing
from nas_engine_cgo.cost.memory import training_memory
from nas_engine_cgo.cost.probe import Probe
from nas_engine_cgo.cost.timing import Timing
from nas_engine_cgo.cost.trials import ALONE, Setting, Trials
from nas_engine_cgo.exact import ExactWriter, Verdicts
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Loop, Member, MemberError, Stream
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn


def members(nets: list[nn.Module], **changes: Any) -> list[Member]:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(32, 6, generator=generator), torch.arange(32) % 3
    settings: dict[str, Any] = {
        "train": (x, y), "validation": (x, y), "epochs": 1, "batch_size": 8, "device": "cpu"
    }  # fmt: skip
    recipe = SupervisedEvaluator(**settings | changes)
    return [
        Member(
            Candidate(i, Architecture({}), i), net, recipe, Stream(torch.Generator().manual_seed(i))
        )
        for i, net in enumerate(nets)
    ]


def mlp(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))


def of_images() -> list[Member]:
    """Eight, of which a step takes ``3 * 8 * 8`` numbers for each of 8 images."""
    x, y = torch.randn(32, 2, 8, 8), torch.arange(32) % 3
    nets: list[nn.Module] = [
        nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten()) for _ in range(8)
    ]
    return members(nets, train=(x, y), epochs=100)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"index0": ("1", "48K"), "index2": ("2", "2048K"), "index3": ("3", "480M")}, 2 << 20),
        ({"index0": ("1", "48K")}, 1 << 20),
        ({"index2": ("2", "unknown")}, 1 << 20),
        ({}, 1 << 20),
    ],
)
def test_the_size_of_the_cache_is_what_linux_tells(
    files: dict[str, tuple[str, str]], expected: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, (level, size) in files.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "level").write_text(f"{level}\n")
        (tmp_path / name / "size").write_text(f"{size}\n")
    monkeypatch.setattr(cache, "_CACHES", tmp_path)
    assert cache.cache_bytes.__wrapped__() == expected


def numbers(clusters: list[list[int]]) -> list[int]:
    return sorted(number for cluster in clusters for number in cluster)


def test_similar_members_share_clusters() -> None:
    made = members([mlp(width) for width in (4, 8, 4, 8)])
    choice = choose(made, Options(cluster_size=2), Memory())
    assert sorted(map(sorted, choice.clusters)) == [[0, 2], [1, 3]]


def test_memory_bounds_a_cluster() -> None:
    made = members([mlp(64) for _ in range(8)])
    assert len(choose(made, Options(), Memory()).clusters) == 1
    tight = choose(made, Options(memory=20_000), Memory())
    assert len(tight.clusters) > 1
    assert numbers(tight.clusters) == list(range(8))


def test_a_long_training_is_timed_till_the_answer_is_sure(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "cgo.json"

    def chosen() -> Any:
        return choose(members([mlp(8) for _ in range(4)], epochs=1000), Options(), Memory(path))

    assert members([mlp(8)])[0].optimizer  # The first one of a process takes torch a second.
    assert "fastest of what was timed" in chosen().why
    for _ in range(20):
        sure = chosen()
        if "before" in sure.why:
            break
    again = chosen()
    assert "before" in again.why
    assert again.clusters == sure.clusters
    assert again.options == sure.options


def probed_by(
    monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Any], float], *attributes: str
) -> list[Any]:
    """These attributes of settings that are timed, of which a step takes what a function says."""
    probed, told = [], attrgetter(*attributes)

    def step(_timing: object, setting: Any) -> float:
        probed.append(told(setting))
        return seconds(setting)

    monkeypatch.setattr(Timing, "seconds", step)
    return probed


class Machine:
    """One on which a step takes so long, and longer while something else runs; with its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]) -> None:
        self.seconds, self.now = seconds, 0.0
        self.slower: dict[int, float] = {}
        self.timed: list[int] = []
        monkeypatch.setattr(Timing, "seconds", lambda _timing, setting: self.step(setting))
        monkeypatch.setattr(Timing, "clock", lambda _timing: lambda: self.now)
        monkeypatch.setattr(probing, "cache_bytes", lambda: 8 * 8 * 8 * 4)  # room for 8 of 16

    def step(self, setting: Any) -> float:
        self.timed.append(setting.size)
        taken = self.seconds[setting.size] * self.slower.get(setting.size, 1.0)
        self.now += 25 * taken
        return taken

    def chosen(self, memory: Memory, epochs: int, **slower: float) -> int:
        """The size for a batch of 16, of which some take longer than they do by themselves."""
        self.slower = {int(name[1:]): factor for name, factor in slower.items()}
        self.timed = []
        made = members([mlp(8) for _ in range(16)], epochs=epochs)
        return max(map(len, choose(made, Options(), memory).clusters))


@pytest.mark.parametrize("epochs", [32, 100])
def test_a_machine_that_was_busy_decides_for_few_batches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, epochs: int
) -> None:
    machine = Machine(monkeypatch, {1: 1.0, 4: 0.5, 8: 0.3, 16: 0.4})
    path = tmp_path / "cgo.json"
    assert machine.chosen(Memory(path), epochs, _8=5.0, _4=5.0, _16=5.0) == 1
    found = [machine.chosen(Memory(path), epochs) for _ in range(4)]
    assert found == [8, 8, 8, 8]
    assert machine.timed == []


def test_what_was_found_at_a_time_when_one_by_one_was_slow_is_outvoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, {1: 1.0, 4: 1.1, 8: 1.1, 16: 1.1})
    path = tmp_path / "cgo.json"
    assert machine.chosen(Memory(path), 100, _1=3.0) > 1
    found = [machine.chosen(Memory(path), 100) for _ in range(12)]
    assert found[-1] == 1
    assert machine.timed == []
    assert machine.chosen(Memory(path), 100, _8=0.01) == 1


def test_later_batches_take_less_time_and_begin_with_what_was_fastest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, {1: 1.0, 4: 0.3, 8: 0.4, 16: 0.8})
    memory = Memory()
    orders = []
    for _ in range(4):
        assert machine.chosen(memory, 48) == 4
        orders.append(machine.timed)
    assert orders == [[1, 8, 16, 4], [1, 4, 8], [1, 4, 8], []]


@pytest.mark.parametrize(
    ("seconds", "exact", "timed", "size"),
    [
        # slower already: larger ones would be more so
        ({1: 1.0, 4: 2.0, 8: 3.0}, False, [1, 8, 4], 1),
        ({1: 1.0, 8: 0.25, 16: 0.2}, False, [1, 8, 16], 16),
        ({1: 1.0, 4: 0.5, 8: 0.7, 16: 0.9}, False, [1, 8, 16, 4], 4),
        # slower for what is computed for each, which more members may repay
        ({1: 1.0, 8: 1.2, 16: 0.6}, True, [1, 8, 16], 16),
    ],
)
def test_larger_clusters_are_timed_as_long_as_they_are_faster(
    monkeypatch: pytest.MonkeyPatch,
    seconds: dict[int, float],
    exact: bool,
    timed: list[int],
    size: int,
) -> None:
    activation = 8 * 8 * 4  # of 8 rows and 8 columns

    def of(setting: Any) -> float:
        return seconds[setting.size]

    probed = probed_by(monkeypatch, of, "size")
    monkeypatch.setattr(probing, "cache_bytes", lambda: 8 * activation)
    made = members([mlp(8) for _ in range(16)], epochs=100)
    choice = choose(made, Options(exact=exact), Memory())
    assert probed == timed
    assert {len(cluster) for cluster in choice.clusters} == {size}


@pytest.mark.parametrize(
    ("epochs", "sure", "timed"),
    [(16, True, []), (32, True, [1, 8]), (100, True, [1, 8, 16]), (16, False, [1, 8])],
)
def test_timing_takes_a_small_part_of_the_training(
    monkeypatch: pytest.MonkeyPatch, epochs: int, sure: bool, timed: list[int]
) -> None:
    """A step of one member takes a second, whatever it is merged with, and planning as much.

    Less than three settings tell nothing if there is no doubt that merging gains.
    """
    monkeypatch.setattr(Probe, "surely_gains", lambda _probe, setting: sure)
    now = [0.0]

    def of(setting: Any) -> float:
        now[0] += 15 * setting.size
        return 1.0 - setting.size / 100

    probed = probed_by(monkeypatch, of, "size")
    monkeypatch.setattr(Timing, "clock", lambda _timing: lambda: now[0])
    monkeypatch.setattr(probing, "cache_bytes", lambda: 8 * 8 * 8 * 4)
    choice = choose(members([mlp(8) for _ in range(16)], epochs=epochs), Options(), Memory())
    assert probed == timed
    assert len(choice.clusters[0]) == (timed or [8])[-1]
    gain, told = (0.99 / (1 - timed[-1] / 100), "was timed,") if timed else (8.0, "by rules about")
    assert choice.why.endswith(f"{told} {gain:.1f} times as fast as one by one")


def test_on_a_gpu_all_that_have_room_are_merged_by_channels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = Probe.__init__

    def on_gpu(probe: Any, *given: Any) -> None:
        make(probe, *given)
        probe.on_cpu = False

    monkeypatch.setattr(Probe, "__init__", on_gpu)
    monkeypatch.setattr(Probe, "to_save", 0)
    monkeypatch.setattr(probing, "cache_bytes", lambda: 1)
    choice = choose(of_images(), Options(), Memory())
    gain = "by rules about 7.3 times as fast as one by one"
    assert choice.why == f"clusters of 8, contiguous: the device has room for 8, {gain}"
    for_one = training_memory(Probe(of_images(), Options(), Verdicts()).programs[0])
    choice = choose(of_images(), Options(memory=3 * for_one), Memory())
    assert [len(cluster) for cluster in choice.clusters] == [3, 3, 2]


@pytest.mark.parametrize("faster", ["channels_last", "contiguous"])
def test_both_layouts_of_images_are_timed_once(
    monkeypatch: pytest.MonkeyPatch, faster: str
) -> None:
    def of(setting: Any) -> float:
        return (0.5 if setting.layout == faster else 0.8) ** (setting.size > 1)

    probed = probed_by(monkeypatch, of, "size", "layout")
    monkeypatch.setattr(probing, "cache_bytes", lambda: 4 * 8 * 3 * 8 * 8 * 4)
    choice = choose(of_images(), Options(), Memory())
    both = [(4, "channels_last"), (4, "contiguous")]
    assert probed == [(1, "contiguous"), *both, (8, faster), (2, faster)]
    assert choice.options.layout == faster


def test_what_is_much_slower_in_both_layouts_is_not_timed_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of(setting: Any) -> float:
        return 1.3 if setting.size > 1 else 1.0

    probed = probed_by(monkeypatch, of, "size", "layout")
    monkeypatch.setattr(probing, "cache_bytes", lambda: 4 * 8 * 3 * 8 * 8 * 4)
    choice = choose(of_images(), Options(), Memory())
    assert probed == [(1, "contiguous"), (4, "channels_last"), (4, "contiguous")]
    assert len(choice.clusters) == 8


def test_a_clock_that_stands_still_for_a_step_decides_nothing() -> None:
    ticks = iter([0.0, 0.004, 1.0, 1.0, 2.0, 2.003])
    assert timing._timed(lambda: None, lambda: next(ticks), 2) == pytest.approx(0.003)


def test_every_setting_is_timed_by_as_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also members one by one, of which several kinds are timed: one step of each says little."""
    counts: list[int] = []
    timed = timing._timed

    def counting(step: Any, clock: Any, untimed: int) -> float:
        taken = 0

        def counted() -> None:
            nonlocal taken
            taken += 1
            step()

        found = timed(counted, clock, untimed)
        counts.append(taken - untimed)
        return float(found)

    monkeypatch.setattr(timing, "_timed", counting)
    # However busy the machine is, each step takes one tick.
    ticks = count()
    monkeypatch.setattr(Timing, "clock", lambda _timing: lambda: next(ticks) * 1e-6)
    made = members([mlp(width) for width in (4, 8) * 4], epochs=1000)
    choose(made, Options(), Memory())
    assert len(counts) > 3
    assert set(counts) == {3}


def test_bits_are_compared_where_they_count_and_not_while_settings_are_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []

    def differing(_writer: object, subjects: Any, *_: Any) -> list[int]:
        compared.append(len(subjects))
        return []

    monkeypatch.setattr(ExactWriter, "differing", differing)
    made, options = members([mlp(8) for _ in range(4)], epochs=1000), Options(exact=True)
    choice = choose(made, options, Memory())
    assert "timed" in choice.why
    assert not compared
    loop = Loop(made, choice.clusters, choice.options, choice.prepared)
    loop.step(next(loop.batches()))
    assert compared == [len(cluster) for cluster in choice.clusters]


def test_members_that_take_longer_are_compared_with_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first are done sooner: merged with the last, a step takes longer for each of them."""
    steps = []

    def of(_timing: object, chosen: Any, setting: Any) -> float:
        steps.append(tuple(chosen))
        return (2 + sum(chosen) / len(chosen)) * (0.83 if setting.size > 1 else 1.0)

    monkeypatch.setattr(Timing, "_step", of)
    monkeypatch.setattr(probing, "cache_bytes", lambda: 2 * 8 * 4 * 4)

    def deep(depth: int) -> nn.Module:
        return nn.Sequential(*(nn.Linear(6, 6) for _ in range(depth)))

    made = members([deep(depth) for depth in range(1, 9)], epochs=1000)
    choice = choose(made, Options(), Memory())
    assert max(map(len, choice.clusters)) > 1
    assert len(steps) == len(set(steps))
    assert "1.2 times" in choice.why


@pytest.mark.parametrize(
    ("asked", "wide", "timed", "chosen"),
    [
        (None, 0.5, [(1, 0), (4, 1), (4, 0), (8, 1), (2, 1)], True),
        (None, 2.0, [(1, 0), (4, 1), (4, 0), (8, 0), (2, 0)], False),
        (True, 2.0, [(1, 0), (4, 1), (8, 1), (2, 1)], True),
        (False, 0.5, [(1, 0), (4, 0), (8, 0), (2, 0)], False),
    ],
)
def test_layers_that_differ_in_width_are_timed_widened_as_well(
    monkeypatch: pytest.MonkeyPatch,
    asked: bool | None,
    wide: float,
    timed: list[tuple[int, bool]],
    chosen: bool,
) -> None:
    def of(setting: Any) -> float:
        return {1: 1.0, 2: 0.6, 4: 0.5, 8: 0.7}[setting.size] * (wide if setting.widen else 1.0)

    probed = probed_by(monkeypatch, of, "size", "widen")
    monkeypatch.setattr(probing, "cache_bytes", lambda: 4 * 8 * 8 * 4)
    memory = Memory()
    made = members([mlp(width) for width in (8, 7, 6, 5) * 2], epochs=100)
    choice = choose(made, Options(widen=asked), memory)
    assert probed == timed
    assert choice.options.widen is (chosen and len(choice.clusters) < 8)
    for _ in range(3):
        count = len(probed)
        again = choose(made, Options(widen=asked), memory)
        assert (again.options.widen, again.clusters) == (choice.options.widen, choice.clusters)
    assert len(probed) == count


@pytest.mark.parametrize(("batch", "widens"), [(8, True), (2048, False)])
def test_without_timing_zeros_are_added_where_calls_cost_more(batch: int, widens: bool) -> None:
    x, y = torch.zeros(batch, 6), torch.arange(batch) % 3
    nets = [mlp(width) for width in (512, 384, 256)]
    choice = choose(members(nets, train=(x, y), batch_size=batch), Options(), Memory())
    assert "cache" in choice.why
    assert choice.options.widen is widens


def test_members_of_one_width_are_not_timed_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(setting: Any) -> float:
        return 1.0 / setting.size

    probed = probed_by(monkeypatch, of, "widen")
    choose(members([mlp(8) for _ in range(4)], epochs=100), Options(), Memory())
    assert probed
    assert not any(probed)


def test_memory_is_that_of_widened_members() -> None:
    """Each has a wide layer, but not the same: widened, both are wide in all."""

    def net(first: int, second: int) -> nn.Module:
        return nn.Sequential(nn.Linear(6, first), nn.Linear(first, second), nn.Linear(second, 3))

    made = members([net(64, 32), net(32, 64)])
    room = 100_000
    together = choose(made, Options(memory=room, widen=False), Memory())
    assert [len(cluster) for cluster in together.clusters] == [2]
    apart = choose(made, Options(memory=room, widen=True), Memory())
    assert [len(cluster) for cluster in apart.clusters] == [1, 1]


class Recurrent(nn.Module):
    """One call of it can't be merged, and takes longer than all others."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x.unflatten(1, (2, 3)))[0][:, -1])


@pytest.mark.parametrize(("room", "size"), [(3, 1), (16, 4)])
def test_what_can_not_be_merged_keeps_more_than_it_gives(
    monkeypatch: pytest.MonkeyPatch, room: int, size: int
) -> None:
    monkeypatch.setattr(probing, "cache_bytes", lambda: room * 8 * 2 * 8 * 4)
    choice = choose(members([Recurrent() for _ in range(4)]), Options(), Memory())
    assert {len(cluster) for cluster in choice.clusters} == {size}
    assert ("can't be merged" in choice.why) == (size == 1)


def test_frozen_layers_do_not_bound_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are computed once for all, however large what they give is."""

    def net() -> nn.Module:
        torch.manual_seed(0)
        wide = nn.Sequential(nn.Linear(6, 512), nn.ReLU(), nn.Linear(512, 6)).requires_grad_(False)
        return nn.Sequential(wide, mlp(8))

    monkeypatch.setattr(probing, "cache_bytes", lambda: 8 * 8 * 4 * 4)
    choice = choose(members([net() for _ in range(4)]), Options(), Memory())
    assert {len(cluster) for cluster in choice.clusters} == {4}


class Stepping(nn.Module):
    """Each of some steps reads the weights of one cell."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.cell, self.head = steps, nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.steps):
            x = self.cell(x).tanh()
        return self.head(x)


@pytest.mark.parametrize(("steps", "size"), [(2, 4), (3, 2)])
def test_weights_that_many_calls_read_take_room_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, steps: int, size: int
) -> None:
    value, weights = 8 * 6 * 4, (6 * 6 + 6) * 4
    monkeypatch.setattr(probing, "cache_bytes", lambda: max(4 * value, 2 * (value + weights)))
    choice = choose(members([Stepping(steps) for _ in range(4)]), Options(), Memory())
    assert {len(cluster) for cluster in choice.clusters} == {size}


class Mixing(nn.Module):
    """Values are as large at the end as in between, which are ``factor`` times as large."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.mixed = nn.ModuleList(
            nn.Sequential(nn.Linear(6, 6 * factor), nn.ReLU(), nn.Linear(6 * factor, 6))
            for _ in range(3)
        )
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.mixed:
            x = layer(x).relu()
        return self.head(x)


@pytest.mark.parametrize(("room", "size"), [(2 * 24, 4), (24, 1)])
def test_nothing_is_merged_where_most_calls_would_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch, room: int, size: int
) -> None:
    """Most calls read or give the largest values, of which a step has room for so many."""
    monkeypatch.setattr(probing, "room_for_steps", lambda *_: room * 8 * 4)
    choice = choose(members([Mixing(4) for _ in range(4)]), Options(), Memory())
    assert {len(cluster) for cluster in choice.clusters} == {size}


@pytest.mark.parametrize(("steps", "apart"), [(16, True), (1600, False)])
def test_few_steps_do_not_repay_a_tape_of_members_that_run_one_by_one(
    steps: int, apart: bool
) -> None:
    made = members([mlp(8) for _ in range(4)], steps=steps)
    assert Probe(made, Options(), Verdicts()).gains(ALONE, timed=False) is not apart


def test_where_bits_count_what_was_fastest_otherwise_says_nothing() -> None:
    """It may be in another layout, whose kernels round in another way."""

    class Recalled(Memory):
        keys: tuple[str, ...] = ()

        def recall(self, key: str) -> Any:
            self.keys = (*self.keys, key)
            return 4, "channels_last"

    memory = Recalled()
    for exact in (False, True):
        choose(members([mlp(8) for _ in range(4)], epochs=100), Options(exact=exact), memory)
    assert len(set(memory.keys)) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00"])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cgo.json"
    path.write_text(content)
    memory = Memory(path)
    assert memory.recall("a") is None
    memory.keep({"a": (4, "contiguous")})
    assert Memory(path).recall("a") == [4, "contiguous"]


@pytest.mark.parametrize(
    "kept",
    [
        3,
        "contiguous",
        [4],
        [4, "contiguous", True],
        [[4, "contiguous", False]],
        [["4", "contiguous", True, 0.5, 0.5, 0.5]],
        [[0, "contiguous", True, 0.5, 0.5, 0.5]],
        [[4, "other", False, 0.5, 0.5, 0.5]],
        [[4, "contiguous", False, 0.5, "0.5", 0.5]],
        [[4, "contiguous", False, 0.5, 0.5, 0.5], 3],
    ],
)
def test_a_setting_that_makes_no_sense_is_not_taken(kept: Any) -> None:
    class Odd(Memory):
        def recall(self, key: str) -> Any:
            return kept

    choice = choose(members([mlp(8) for _ in range(4)], epochs=100), Options(), Odd())
    assert "before" not in choice.why


def test_members_that_differ_say_nothing_of_members_that_are_alike() -> None:
    """One by one may be right for the first, and lose most for the others."""

    def deep(*layers: type[nn.Module]) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 6), *(layer() for layer in layers))

    functions = (nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.ELU, nn.CELU, nn.Softplus, nn.Mish)
    alike = members([deep(*functions) for _ in range(8)], epochs=100)
    mixed = members([deep(*[functions[i]] * 8) for i in range(8)], epochs=100)

    def key(made: list[Member]) -> str:
        return str(Probe(made, Options(), Verdicts()).key)

    assert key(alike) != key(mixed)
    assert key(alike) == key(members([deep(*reversed(functions)) for _ in range(8)]))


def test_old_entries_of_a_memory_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_engine_cgo.remember._MOST", 2)
    memory = Memory(tmp_path / "cgo.json")
    for key in "abc":
        memory.keep({key: key})
    found = Memory(tmp_path / "cgo.json")
    assert [found.recall(key) for key in "abc"] == [None, "b", "c"]


def test_a_memory_that_can_not_be_written_hurts_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "cgo.json")
    memory.keep({"a": (4, "contiguous")})
    assert memory.recall("a") == (4, "contiguous")


class Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() != 0:  # Depends on elements: no program.
            raise ValueError("broken")
        return self.layer(x)


def test_little_is_timed_where_merging_can_save_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is merged without that: products take as long together."""

    def of(setting: Any) -> float:
        return 1.0 / setting.size

    probed = probed_by(monkeypatch, of, "size")
    monkeypatch.setattr(probing, "cache_bytes", lambda: 1 << 30)

    def size(width: int, epochs: int) -> int:
        probed.clear()
        nets: list[nn.Module] = [
            nn.Sequential(mlp(width), nn.Linear(3, width), nn.Linear(width, width)) for _ in "1234"
        ]
        data = {"train": (torch.zeros(512, 6), torch.zeros(512).long()), "batch_size": 128}
        return len(choose(members(nets, epochs=epochs, **data), Options(), Memory()).clusters[0])

    assert (size(16, 100), probed) == (4, [1, 4, 2])
    assert (size(1024, 100), probed) == (1, [])
    assert (size(1024, 10000), probed) == (4, [1, 2, 4])


def test_what_can_not_be_merged_takes_its_time_whatever_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probed = probed_by(monkeypatch, lambda setting: 1.0 / setting.size, "size")
    monkeypatch.setattr(Probe, "surely_gains", lambda _probe, setting: False)
    choose(members([Recurrent() for _ in range(4)], epochs=100), Options(), Memory())
    assert probed == []
    choose(members([mlp(8) for _ in range(4)], epochs=100), Options(), Memory())
    assert probed == [1, 4, 2]


@pytest.mark.parametrize(
    ("kinds", "exact", "sure"), [(1, False, True), (1, True, True), (8, False, False)]
)
def test_no_doubt_is_left_where_most_calls_are_made_for_many(
    kinds: int, exact: bool, sure: bool
) -> None:
    functions = (nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.ELU, nn.CELU, nn.Softplus, nn.Mish)
    nets: list[nn.Module] = [
        nn.Sequential(nn.Linear(6, 6), *(functions[i % kinds]() for _ in range(8)))
        for i in range(8)
    ]
    probe = Probe(members(nets), Options(exact=exact), Verdicts())
    assert probe.surely_gains(Setting(8, "contiguous")) is sure
    assert not probe.surely_gains(Setting(1, "contiguous"))


def test_one_by_one_alone_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """If to time it has taken all that timing may, what the cache suggests is done."""
    machine = Machine(monkeypatch, {1: 1.0})
    monkeypatch.setattr(Trials, "affords", lambda trials, *_: not trials.tried)
    assert machine.chosen(Memory(), 100) == 8
    assert machine.timed == [1]


def test_what_raises_while_it_is_timed_is_named() -> None:
    made = members([mlp(8), Broken(), mlp(8)], epochs=100)
    with pytest.raises(MemberError) as caught:
        choose(made, Options(), Memory())
    assert caught.value.members == (1,)


def test_timing_leaves_members_as_they_were() -> None:
    nets = [nn.Sequential(mlp(8), nn.BatchNorm1d(3), nn.Dropout(0.5)) for _ in range(3)]
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in nets]
    made = members(nets, epochs=100)
    states = [member.stream.generator.get_state() for member in made]
    choose(made, Options(), Memory())
    for member, state, kept in zip(made, states, before, strict=True):
        assert torch.equal(member.stream.generator.get_state(), state)
        for name, tensor in member.module.state_dict().items():
            assert torch.equal(tensor, kept[name])
