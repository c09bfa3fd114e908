"""Small modules that use each function that can be fused, in the ways that models do."""

from models import awkward, layers, pointwise, sequences, shapes
from models.case import IMAGE, ROW, ROWS, SIGNAL, Case, Do, direct, normalised, scaled

__all__ = [
    "CASES",
    "IMAGE",
    "ROW",
    "ROWS",
    "SIGNAL",
    "Case",
    "Do",
    "direct",
    "normalised",
    "scaled",
]

CASES: dict[str, Case] = {
    **layers.convolutions(),
    **layers.products(),
    **layers.normalisations(),
    **pointwise.activations(),
    **pointwise.elementwise(),
    **pointwise.dropouts(),
    **shapes.pools(),
    **shapes.shapes(),
    **shapes.reductions(),
    **sequences.sequences(),
    **awkward.branches(),
    **awkward.awkward(),
    **awkward.layouts(),
}
