"""Model spaces beside the same models written by hand: what an engine builds must be the latter.

They stand in files since TorchScript reads the source of a model.
"""

from nas_core.testing.references.inputs import INPUTS
from nas_core.testing.references.layers import LAYERS
from nas_core.testing.references.python import PYTHON
from nas_core.testing.references.reference import Reference
from nas_core.testing.references.repeats import REPEATS
from nas_core.testing.references.state import STATE
from nas_core.testing.references.values import VALUES

REFERENCES: tuple[Reference, ...] = (*LAYERS, *INPUTS, *VALUES, *REPEATS, *STATE, *PYTHON)

__all__ = ["REFERENCES", "Reference"]
