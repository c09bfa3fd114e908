"""The CGO engine: many candidates of a model space trained as one merged graph."""

__version__ = "0.1.0"
__all__ = ["__version__"]
