"""What changes while members are trained: parameters and buffers, and random numbers."""

from nas_engine_cgo.state.store import Entry, Place, Store, joined
from nas_engine_cgo.state.streams import Stream, active_stream, drawing, dropout_masks, ordered

__all__ = [
    "Entry",
    "Place",
    "Store",
    "Stream",
    "active_stream",
    "drawing",
    "dropout_masks",
    "joined",
    "ordered",
]
