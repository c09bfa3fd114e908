"""When merging pays: how many members share a cluster, in which layout, and of which widths.

Three steps, each with less to say than the one before: the memory there is bounds the size of a
cluster; rules suggest one; as far as a part of what merging may save allows, steps of copies
of the members are timed, and the fastest wins. What was found is remembered for the next
batches like it, of which some time again what they can for less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas_engine_cgo.cost.explore import explored
from nas_engine_cgo.cost.findings import Findings
from nas_engine_cgo.cost.length import gains_anyway
from nas_engine_cgo.cost.probe import Probe
from nas_engine_cgo.cost.trials import Setting
from nas_engine_cgo.exact import Verdicts
from nas_engine_cgo.options import Options
from nas_engine_cgo.remember import Memory
from nas_engine_cgo.train import Member, Prepared, Programs
from nas_engine_cgo.train.clusters import clusters_of

__all__ = ["Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """How members are run.

    Attributes:
        clusters: those that are merged with each other.
        options: with what was chosen.
        why: what decided, in words.
        prepared: what was found out on the way.
        apart: whether nothing is gained by one loop for all.
    """

    clusters: list[list[int]]
    options: Options
    why: str
    prepared: Prepared
    apart: bool = False


def choose(
    members: Sequence[Member],
    options: Options,
    memory: Memory,
    programs: Programs | None = None,
) -> Choice:
    """Decide for these members.

    Args:
        members: of one loop.
        options: how they are run together.
        memory: what is known of this machine.
        programs: what was traced before.
    """
    probe = Probe(members, options, Verdicts(memory.beside("cgo-bits.json")), programs)
    if (reason := probe.why_apart()) is not None:
        each = [[i] for i in range(len(members))]
        return Choice(each, options, reason, probe.prepared, apart=True)
    most = probe.most()
    setting, why = probe.guess(most)
    timed = None
    if options.cluster_size is not None:
        setting, why = replace(setting, size=min(most, options.cluster_size)), "as asked for"
    elif (timed := _fastest(probe, most, setting, memory)) is not None:
        setting, why, _ = timed
    apart = not (probe.gains(setting, timed is not None) or gains_anyway(members, options))
    if setting.size > 1 and not apart:
        told, gain = ("", timed[2]) if timed else ("by rules about ", probe.gain(setting))
        why += f", {told}{gain:.1f} times as fast as one by one"
    clusters = clusters_of(probe.order, setting.size)
    setting = replace(setting, widen=setting.widen and any(map(probe.differ, clusters)))
    chosen = replace(options, layout=setting.layout, widen=setting.widen)
    return Choice(clusters, chosen, f"{setting}: {why}", probe.prepared, apart)


def _fastest(
    probe: Probe, most: int, guess: Setting, memory: Memory
) -> tuple[Setting, str, float] | None:
    """The setting that was fastest of those that were timed, now or before, if any was.

    That in words as well, and how many times as fast as one by one it was. One measurement may have
    met a machine that was busy: so what later batches find counts, too.
    """
    known = Findings.read(memory.recall(probe.key))
    tried = {} if known.are_sure else explored(probe, most, guess, known)
    compared = len(tried) > 1
    if compared:
        known = known.joined(tried)
        memory.keep({probe.key: known.written()})
    if not known:
        return None
    best = known.best()
    why = f"it was fastest {'of what was timed' if compared else 'for such a batch before'}"
    return replace(best, size=min(best.size, most)), why, 1 / known.share(best)
