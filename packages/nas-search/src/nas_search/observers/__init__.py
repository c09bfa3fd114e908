"""Observers that come with the search: progress, TensorBoard, MLflow.

An observer is any object with methods of ``nas_core.hookspecs``. These can be named in a
configuration, ``observers = ["tensorboard"]``, or given as objects to ``Experiment``.
"""

from nas_search.observers.mlflow import MLflowObserver
from nas_search.observers.progress import ProgressLines
from nas_search.observers.registry import make_observers, observer_names
from nas_search.observers.tensorboard import TensorBoardObserver

__all__ = [
    "MLflowObserver",
    "ProgressLines",
    "TensorBoardObserver",
    "make_observers",
    "observer_names",
]
