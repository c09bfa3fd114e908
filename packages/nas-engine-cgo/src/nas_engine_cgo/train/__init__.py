"""Training of several members at once: parameters, optimisers, random numbers, the loop."""

from nas_engine_cgo.state import Stream
from nas_engine_cgo.train.loop import Loop, MemberError, Prepared
from nas_engine_cgo.train.members import Member, cohort_key, recipe_key, why_alone, why_recipe_alone
from nas_engine_cgo.train.refused import RefusedError
from nas_engine_cgo.train.silent import functions_in, unshared
from nas_engine_cgo.train.together import modes_kept, train_together
from nas_engine_cgo.train.traces import Programs, Traces
from nas_engine_cgo.train.twins import Twin, find_twins

__all__ = [
    "Loop",
    "Member",
    "MemberError",
    "Prepared",
    "Programs",
    "RefusedError",
    "Stream",
    "Traces",
    "Twin",
    "cohort_key",
    "find_twins",
    "functions_in",
    "modes_kept",
    "recipe_key",
    "train_together",
    "unshared",
    "why_alone",
    "why_recipe_alone",
]
