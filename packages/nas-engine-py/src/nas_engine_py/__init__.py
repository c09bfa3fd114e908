"""The pure-Python execution engine; ``nas_core.engine("py")`` loads it."""

__version__ = "0.1.0"
