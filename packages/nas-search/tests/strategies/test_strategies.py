"""What every strategy does, whichever it is; then what only one of them does."""

import random
import statistics
from collections.abc import Callable, Sequence

import nas_core as nas
import pytest
from nas_core import Architecture, Space, nn
from nas_core.nn import ValueChoice
from nas_search.strategies import (
    GridSearch,
    OptunaStrategy,
    Outcome,
    RandomSearch,
    RegularizedEvolution,
    Strategy,
    StrategyError,
    nsga2,
    tpe,
)

Make = Callable[[], Strategy]

ALL: dict[str, Make] = {
    "random": lambda: RandomSearch(seed=3),
    "grid": GridSearch,
    "evolution": lambda: RegularizedEvolution(population_size=8, sample_size=3, seed=3),
    "crossover": lambda: RegularizedEvolution(8, 3, crossover_probability=0.5, seed=3),
    "tpe": lambda: tpe(seed=3, n_startup_trials=5),
    "nsga2": lambda: nsga2(seed=3, population_size=6),
}
SEEDED: dict[str, Callable[[int], Strategy]] = {
    "random": lambda seed: RandomSearch(seed=seed),
    "evolution": lambda seed: RegularizedEvolution(seed=seed),
    "tpe": lambda seed: tpe(seed=seed),
    "nsga2": lambda seed: nsga2(seed=seed),
}


def conditional_space() -> Space:
    """18 architectures: 6 without a kernel, 12 with one of two."""
    kind = ValueChoice(["conv", "skip"], label="kind")
    kernel = ValueChoice([3, 5], label="kernel")
    return Space.of(
        {
            "size": ValueChoice.condition(kind == "conv", kernel, 1),
            "width": ValueChoice([8, 16, 32], label="width"),
            "share": ValueChoice([1, 1.0], label="share"),
        }
    )


@nas.model_wrapper
class Net(nn.Module):
    """54 architectures: a nested choice, a repeated one and inputs to choose from."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LayerChoice(
            {
                "conv": nn.Conv2d(4, 4, nn.ValueChoice([1, 3], label="kernel")),
                "skip": nn.Identity(),
            },
            label="body",
        )
        self.blocks = nn.Repeat(
            lambda i: nn.Linear(4, nn.ValueChoice([4, 8], label=f"hidden{i}")),
            (0, 1),
            label="depth",
        )
        self.seen = nn.InputChoice(3, n_chosen=2, label="seen")
        self.either = nn.LayerChoice([nn.ReLU(), nn.Tanh()], label="either")


def large_space() -> Space:
    return Space.of([ValueChoice(list(range(6)), label=f"gene{i}") for i in range(12)])


def score(architecture: Architecture) -> float:
    """Higher is better; some architectures depend on the kernel, so conditions matter."""
    genes = [value for label, value in architecture.items() if label.startswith("gene")]
    return sum(genes) + architecture.get("kernel", 0) + architecture.get("width", 0) / 8


def search(strategy: Strategy, space: Space, trials: int, lookahead: int = 1) -> list[Architecture]:
    """Run a strategy as the loop does: proposals run ahead of outcomes by up to ``lookahead``."""
    strategy.start(space, ["maximize"])
    proposed: list[Architecture] = []
    told = 0
    while len(proposed) < trials:
        batch = strategy.propose(1)
        if not batch:
            break
        proposed += batch
        if len(proposed) - told >= lookahead:
            outcome = Outcome(
                "completed", {"value": score(proposed[told])}, (score(proposed[told]),)
            )
            strategy.tell(proposed[told], outcome)
            told += 1
    return proposed


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
class TestEveryStrategy:
    def test_finds_every_architecture_once_and_ends(self, make: Make) -> None:
        space = conditional_space()
        found = search(make(), space, trials=100)
        assert len(found) == len(set(found)) == space.size() == 18
        assert set(found) == set(space.enumerate())

    def test_goes_through_the_space_of_a_model(self, make: Make) -> None:
        space = Space.of(Net())
        found = search(make(), space, trials=100, lookahead=5)
        assert len(found) == len(set(found)) == space.size() == 54
        assert set(found) == set(space.enumerate())

    def test_proposes_only_what_the_space_holds(self, make: Make) -> None:
        space = conditional_space()
        assert all(
            space.validate(architecture) == architecture
            for architecture in search(make(), space, 18)
        )

    def test_keeps_to_constraints(self, make: Make) -> None:
        space = conditional_space().constrain(lambda a: a["width"] != 16 and a.get("kernel") != 5)
        found = search(make(), space, trials=100)
        assert set(found) == set(space.enumerate())
        assert len(found) == 8

    def test_is_restored_by_replay(self, make: Make) -> None:
        space = large_space()
        whole = search(make(), space, 40, lookahead=4)
        assert search(make(), space, 25, lookahead=4) == whole[:25]
        used = make()
        search(used, space, 25, lookahead=4)
        assert search(used, space, 40, lookahead=4) == whole

    def test_never_repeats_when_results_come_late(self, make: Make) -> None:
        found = search(make(), large_space(), 60, lookahead=8)
        assert len(set(found)) == 60

    def test_two_at_once_are_one_twice(self, make: Make) -> None:
        together, apart = make(), make()
        space = large_space()
        together.start(space, ["maximize"])
        apart.start(space, ["maximize"])
        assert list(together.propose(3)) == [
            architecture for _ in range(3) for architecture in apart.propose(1)
        ]

    def test_lives_with_failures(self, make: Make) -> None:
        strategy, space = make(), conditional_space()
        strategy.start(space, ["maximize"])
        found: list[Architecture] = []
        while batch := strategy.propose(1):
            strategy.tell(batch[0], Outcome("failed"))
            found += batch
        assert len(set(found)) == len(found) == 18

    def test_does_not_propose_what_it_was_told(self, make: Make) -> None:
        strategy, space = make(), conditional_space()
        if isinstance(strategy, GridSearch):
            return  # the grid goes through everything, and the loop drops what it has
        strategy.start(space, ["maximize"])
        known = list(space.enumerate())[:17]
        for architecture in known:
            strategy.tell(architecture, Outcome("duplicate", {"value": 1.0}, (1.0,)))
        assert list(strategy.propose(5)) == list(space.enumerate())[17:]

    def test_works_without_anything_to_decide(self, make: Make) -> None:
        assert search(make(), Space.of({"nothing": 1}), 5) == [Architecture({})]

    def test_leaves_the_global_generator_alone(self, make: Make) -> None:
        random.seed(0)
        before = random.getstate()
        search(make(), large_space(), 10)
        assert random.getstate() == before


@pytest.mark.parametrize("make", SEEDED.values(), ids=SEEDED)
def test_seeds_make_different_sequences(make: Callable[[int], Strategy]) -> None:
    assert search(make(0), large_space(), 5) == search(make(0), large_space(), 5)
    assert search(make(0), large_space(), 5) != search(make(1), large_space(), 5)


def test_grid_goes_in_the_order_of_the_space() -> None:
    space = conditional_space()
    assert search(GridSearch(), space, 100) == list(space.enumerate())


def test_random_search_is_uniform_over_each_decision() -> None:
    found = search(RandomSearch(seed=0), large_space(), 3000)
    counts = [sum(architecture["gene0"] == gene for architecture in found) for gene in range(6)]
    assert min(counts) > 400
    assert max(counts) < 600


class TestEvolution:
    def best(self, make: Callable[[int], Strategy], trials: int = 150) -> float:
        found = [search(make(seed), large_space(), trials, lookahead=4) for seed in range(5)]
        return statistics.mean(max(map(score, architectures)) for architectures in found)

    def test_beats_random_search(self) -> None:
        evolved = self.best(lambda seed: RegularizedEvolution(20, 5, seed=seed))
        crossed = self.best(
            lambda seed: RegularizedEvolution(20, 5, crossover_probability=0.5, seed=seed)
        )
        drawn = self.best(lambda seed: RandomSearch(seed=seed))
        assert evolved > drawn + 5
        assert crossed > drawn + 5

    def test_minimizes_when_asked(self) -> None:
        space = large_space()
        strategy = RegularizedEvolution(10, 5, seed=0)
        strategy.start(space, ["minimize"])
        last = 0.0
        for _ in range(150):
            (architecture,) = strategy.propose(1)
            last = score(architecture)
            strategy.tell(architecture, Outcome("completed", {}, (last,)))
        assert last < 12  # random architectures score 30 on average

    def test_children_differ_from_a_parent_in_one_decision(self) -> None:
        space = large_space()
        found = search(RegularizedEvolution(4, 2, seed=0), space, 20)
        for child in found[4:]:
            distances = [
                sum(child[x] != parent[x] for x in child) for parent in found if parent != child
            ]
            assert min(distances) == 1

    def test_the_oldest_leave(self) -> None:
        space = large_space()
        strategy = RegularizedEvolution(population_size=3, sample_size=3, seed=0)
        strategy.start(space, ["maximize"])
        champion = Architecture({f"gene{i}": 5 for i in range(12)})
        strategy.tell(champion, Outcome("completed", {}, (1000.0,)))
        for _ in range(20):
            (architecture,) = strategy.propose(1)
            strategy.tell(architecture, Outcome("completed", {}, (0.0,)))
        (child,) = strategy.propose(1)
        assert sum(child[label] != 5 for label in child) > 4

    def test_finds_the_trade_off_of_two_objectives(self) -> None:
        space = large_space()
        strategy = RegularizedEvolution(20, 5, seed=0)
        strategy.start(space, ["maximize", "minimize"])
        points = []
        for _ in range(300):
            (architecture,) = strategy.propose(1)
            low = sum(architecture[f"gene{i}"] for i in range(6))
            high = sum(architecture[f"gene{i}"] for i in range(6, 12))
            points.append((low, high))
            strategy.tell(architecture, Outcome("completed", {}, (float(low), float(high))))
        assert max(low - high for low, high in points) > 20

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"population_size": 0}, "population_size must be a whole number >= 1, not 0"),
            ({"sample_size": 2.5}, "sample_size must be a whole number >= 1, not 2.5"),
            ({"population_size": True}, "population_size must be a whole number >= 1, not True"),
            (
                {"crossover_probability": 1.5},
                "crossover_probability must be a number between 0 and 1, not 1.5",
            ),
        ],
    )
    def test_refuses_options_outside_their_range(
        self, options: dict[str, float], message: str
    ) -> None:
        with pytest.raises(StrategyError, match=message):
            RegularizedEvolution(**options)  # type: ignore[arg-type]


def test_a_protocol_is_enough() -> None:
    class Default:
        def start(self, space: Space, directions: Sequence[str]) -> None:
            self.left = [space.default()]

        def propose(self, n: int) -> Sequence[Architecture]:
            batch, self.left = self.left[:n], self.left[n:]
            return batch

        def tell(self, architecture: Architecture, outcome: Outcome) -> None:
            pass

    assert isinstance(Default(), Strategy)
    assert isinstance(OptunaStrategy(lambda seed: None), Strategy)  # type: ignore[arg-type,return-value]
