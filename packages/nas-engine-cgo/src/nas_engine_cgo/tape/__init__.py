"""What code does to tensors as a list of torch's operators, written out as code of its own.

Such a list is what automatic differentiation calls a tape, or a Wengert list (R. E. Wengert, "A
simple automatic derivative evaluation program", 1964). Here it holds the way back as well.
"""

from nas_engine_cgo.tape.calls import Tape
from nas_engine_cgo.tape.record import UnrepeatableError, recorded
from nas_engine_cgo.tape.shorten import shortened
from nas_engine_cgo.tape.write import written

__all__ = ["Tape", "UnrepeatableError", "recorded", "shortened", "written"]
