"""From the programs of members to one order of fused steps."""

from nas_engine_cgo.merge.arrange import Arrangement, Place, arrange
from nas_engine_cgo.merge.deduplicate import Slot, deduplicate, each_by_itself
from nas_engine_cgo.merge.schedule import Step, schedule
from nas_engine_cgo.merge.signature import Signature, signatures

__all__ = [
    "Arrangement",
    "Place",
    "Signature",
    "Slot",
    "Step",
    "arrange",
    "deduplicate",
    "each_by_itself",
    "schedule",
    "signatures",
]
