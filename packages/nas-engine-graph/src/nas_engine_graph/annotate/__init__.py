"""What flows through a graph: shapes, dtypes and floating-point operations, as notes on nodes."""

from nas_engine_graph.annotate.annotation import annotate, flops_of

__all__ = ["annotate", "flops_of"]
