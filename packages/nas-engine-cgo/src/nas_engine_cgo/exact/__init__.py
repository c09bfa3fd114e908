"""Exact: merged code that gives each member the bits that it gets alone."""

from nas_engine_cgo.exact.verdicts import Verdicts
from nas_engine_cgo.exact.write import ExactWriter

__all__ = ["ExactWriter", "Verdicts"]
