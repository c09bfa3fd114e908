"""What would happen to candidates that are trained together: as text, source, page, picture."""

from nas_engine_cgo.explain.describe import Cluster, Cohort, Described, describe
from nas_engine_cgo.explain.page import page
from nas_engine_cgo.explain.picture import picture
from nas_engine_cgo.explain.source import source
from nas_engine_cgo.explain.text import text

__all__ = ["Cluster", "Cohort", "Described", "describe", "page", "picture", "source", "text"]
