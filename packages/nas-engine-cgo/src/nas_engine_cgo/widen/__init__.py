"""Members whose layers differ in width: zeros are added, so that they are the same layers.

A widened layer gives zeros where it was widened, and what reads them has weights of zero there.
Then no gradient reaches these weights, and every optimiser leaves them at zero: the member computes
what it computes alone.
"""

from nas_engine_cgo.widen.rewrite import widened
from nas_engine_cgo.widen.widths import weight_of, widths_of

__all__ = ["weight_of", "widened", "widths_of"]
