"""Where values of several members lie in one tensor, and the text that brings them there."""

from nas_engine_cgo.packs.packs import (
    APART,
    AT_ONCE,
    OTHERWISE,
    Apart,
    Form,
    Layout,
    Need,
    Packs,
    Parts,
)
from nas_engine_cgo.packs.text import Text, spelled

__all__ = [
    "APART",
    "AT_ONCE",
    "OTHERWISE",
    "Apart",
    "Form",
    "Layout",
    "Need",
    "Packs",
    "Parts",
    "Text",
    "spelled",
]
