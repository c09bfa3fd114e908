"""Several sessions on one store: whatever the order of their steps, no architecture twice."""

from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nas_core import Architecture, Candidate, Result
from nas_search import TrialStore
from nas_search.store import Database
from nas_search.store.address import parsed

NUMBERS = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from("ab"), NUMBERS, NUMBERS),
    st.tuples(st.just("report"), st.sampled_from("ab"), NUMBERS),
    st.tuples(st.just("finish"), st.sampled_from("ab"), NUMBERS),
    st.tuples(st.just("put_back"), st.sampled_from("ab")),
    st.tuples(st.just("restart"), st.sampled_from("ab")),
)
EXAMPLES = count()


class Model:
    """What a store of two sessions must do, said with dictionaries."""

    def __init__(self):
        self.owner, self.architecture, self.reports, self.ended = {}, {}, {}, set()
        self.reported = 0

    def begin(self, who, number, width):
        if self.architecture.get(number, width) != width:
            return False
        if any(w == width and n != number for n, w in self.architecture.items()):
            return False
        if number in self.ended or self.owner.get(number, who) not in ("", who):
            return False
        self.owner[number], self.architecture[number], self.reports[number] = who, width, 0
        return True

    def report(self, who, number):
        if number in self.ended or self.owner.get(number) != who:
            return None
        self.reports[number] += 1
        self.reported += 1
        return self.reported

    def finish(self, who, number):
        if number in self.ended or self.owner.get(number) != who:
            return False
        self.ended.add(number)
        return True

    def put_back(self, who):
        for number, owner in list(self.owner.items()):
            if owner == who and number not in self.ended:
                del self.owner[number], self.architecture[number], self.reports[number]

    def restart(self, who):
        """Dead, and begun again: what was its own is anybody's, until somebody takes it."""
        for number, owner in self.owner.items():
            if owner == who and number not in self.ended:
                self.owner[number] = ""


def act(store, kind, who, *values):
    match kind, values:
        case "begin", (number, width):
            return store.begin(Candidate(number, Architecture({"width": width}), 0), who)
        case "report", (number,):
            return store.report(number, 0, {"x": 0.0}, who)
        case "finish", (number,):
            return store.finish(Result(number, {"x": 1.0}), who)
        case _:
            return store.put_back(who)


def held_by(model, store):
    for trial in store.trials():
        assert trial.architecture["width"] == model.architecture[trial.number]
        assert (trial.state == "completed") == (trial.number in model.ended)
    numbers = {trial.number: trial.session for trial in store.trials()}
    assert numbers == model.owner
    counts = dict.fromkeys(model.reports, 0)
    ordinals = []
    for ordinal, number, _ in store.reports_after(0):
        counts[number] += 1
        ordinals.append(ordinal)
    assert counts == model.reports
    assert ordinals == sorted(set(ordinals))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=25))
def test_any_interleaving(address, steps):
    name = f"example{next(EXAMPLES)}"
    here = (
        Database(address.url, name)
        if isinstance(address, Database)
        else address.parent / name / address.name
    )
    model = Model()
    TrialStore.create(here, {}).close()
    stores = {who: TrialStore.open(here) for who in "ab"}
    try:
        for who, store in stores.items():
            store.begin_session(who)
        for kind, who, *values in steps:
            if kind == "restart":
                if not isinstance(here, Database):
                    continue  # the lock in the folder lets nobody else be there
                stores[who].close()
                stores[who] = TrialStore.open(here)
                other = "b" if who == "a" else "a"
                stores[other].release_dead(other)
                stores[who].begin_session(who)
                model.restart(who)
            else:
                expected = getattr(model, kind)(who, *values)
                assert act(stores[who], kind, who, *values) == expected
            held_by(model, stores["a"])
    finally:
        for store in stores.values():
            store.close()


def test_a_dead_session_is_told_from_a_living_one(server):
    here = Database(parsed(server.new_database()), "one")
    TrialStore.create(here, {}).close()
    with TrialStore.open(here) as dead, TrialStore.open(here) as living:
        living.begin_session("living")
        dead.begin_session("dead")
        assert living.begin(Candidate(0, Architecture({"width": 0}), 0), "living")
        assert dead.begin(Candidate(1, Architecture({"width": 1}), 0), "dead")
        dead.close()
        with TrialStore.open(here) as third:
            third.begin_session("third")
            assert [trial.session for trial in third.trials()] == ["living", ""]
            assert third.is_running
