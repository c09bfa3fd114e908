"""Members: the models that are merged, each as the list of calls that its forward makes."""

from nas_engine_cgo.members.alike import look
from nas_engine_cgo.members.functions import ELEMENTWISE, PURE
from nas_engine_cgo.members.generators import GlobalStates
from nas_engine_cgo.members.ghosts import duplicate
from nas_engine_cgo.members.host import on_the_cpu
from nas_engine_cgo.members.program import (
    Call,
    Facts,
    Program,
    Ref,
    Source,
    for_each,
    frozen_calls,
    frozen_programs,
    hashable,
    refs_in,
    replaced,
)
from nas_engine_cgo.members.prune import prune
from nas_engine_cgo.members.record import UntraceableError
from nas_engine_cgo.members.remembered import Remembered
from nas_engine_cgo.members.trace import trace

__all__ = [
    "ELEMENTWISE",
    "PURE",
    "Call",
    "Facts",
    "GlobalStates",
    "Program",
    "Ref",
    "Remembered",
    "Source",
    "UntraceableError",
    "duplicate",
    "for_each",
    "frozen_calls",
    "frozen_programs",
    "hashable",
    "look",
    "on_the_cpu",
    "prune",
    "refs_in",
    "replaced",
    "trace",
]
