"""The ``nas`` command: explore model spaces from the shell."""

__version__ = "0.1.0"
