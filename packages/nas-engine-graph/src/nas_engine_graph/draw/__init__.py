"""Graphs as pictures, and the candidates of a space with the choices that made them."""

from nas_engine_graph.draw.candidate import draw
from nas_engine_graph.draw.labels import labelled, labels_of

__all__ = ["draw", "labelled", "labels_of"]
