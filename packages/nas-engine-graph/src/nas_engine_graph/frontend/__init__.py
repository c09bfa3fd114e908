"""TorchScript in: the only place that imports it.

``conversion`` is the whole way of a module. TorchScript compiles a ``shadow`` of it, in
``isolation``; the sources that it asks for are read (``source``) and changed so that they say what
Python would do (``rewriting``). Its graphs become functions of the IR (``nodes``), layers become
constructor calls (``layers``), and the tree of modules a graph (``assembly``), with what classes
override of PyTorch beside ``forward`` (``overriding``). The ``world`` is what these share.
"""

from nas_engine_graph.frontend.conversion import convert

__all__ = ["convert"]
