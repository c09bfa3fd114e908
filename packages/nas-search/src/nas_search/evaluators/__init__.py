"""Evaluators train and/or measure a built model and give back its metrics.

Besides the evaluators, here are the parts of which ``SupervisedEvaluator`` makes its training, for
engines that train several candidates in one loop.
"""

from nas_search.evaluators.data import Batch, Data, Feed, open_feed
from nas_search.evaluators.function import FunctionEvaluator
from nas_search.evaluators.lightning import LightningEvaluator
from nas_search.evaluators.streams import Stream, derive
from nas_search.evaluators.supervised import SupervisedEvaluator
from nas_search.evaluators.training import Learner, measure

__all__ = [
    "Batch",
    "Data",
    "Feed",
    "FunctionEvaluator",
    "Learner",
    "LightningEvaluator",
    "Stream",
    "SupervisedEvaluator",
    "derive",
    "measure",
    "open_feed",
]
