"""Evaluators train and/or measure a built model and give back its metrics."""

from nas_search.evaluators.data import Batch, Data
from nas_search.evaluators.function import FunctionEvaluator
from nas_search.evaluators.lightning import LightningEvaluator
from nas_search.evaluators.supervised import SupervisedEvaluator

__all__ = ["Batch", "Data", "FunctionEvaluator", "LightningEvaluator", "SupervisedEvaluator"]
