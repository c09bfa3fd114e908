"""An execution engine for model spaces; ``nas_core.engine("stencil")`` loads it."""

__version__ = "0.1.0"
