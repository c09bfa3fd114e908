"""Rewrites of a model's graph by the user: mutators, and what they are written with."""

from nas_engine_graph.mutate.mutated import MutatedModel, mutated
from nas_engine_graph.mutate.mutator import Choose, Mutator, MutatorError

__all__ = ["Choose", "MutatedModel", "Mutator", "MutatorError", "mutated"]
