"""Rewrites of a model's graph by the user: mutators, and what they are written with."""

from nas_engine_graph.mutate.arguments import arguments, with_arguments
from nas_engine_graph.mutate.fragment import Fragment, fragment
from nas_engine_graph.mutate.matching import Match, matches
from nas_engine_graph.mutate.mutated import MutatedModel, mutated
from nas_engine_graph.mutate.mutator import Choose, Mutator, MutatorError
from nas_engine_graph.mutate.rewriting import replace_match, rewrite

__all__ = [
    "Choose",
    "Fragment",
    "Match",
    "MutatedModel",
    "Mutator",
    "MutatorError",
    "arguments",
    "fragment",
    "matches",
    "mutated",
    "replace_match",
    "rewrite",
    "with_arguments",
]
