"""Models: record how they are made, find their choices, make them again with choices fixed."""

from nas_core.model.recipe import Recipe, build, recipe
from nas_core.wrapper import (
    arguments_of,
    basic_unit,
    is_basic_unit,
    model_wrapper,
    record_of,
)

__all__ = [
    "Recipe",
    "arguments_of",
    "basic_unit",
    "build",
    "is_basic_unit",
    "model_wrapper",
    "recipe",
    "record_of",
]
