"""What generated classes do when PyTorch calls them otherwise than to compute."""

from __future__ import annotations

from collections.abc import Iterator

from nas_engine_graph.backend.literal import Imports, literal
from nas_engine_graph.backend.paths import attribute, member_path
from nas_engine_graph.ir import RESETTING, Graph, Reset

__all__ = ["overrides"]

LOADING = "_load_from_state_dict"
_INDENT = "    "


def overrides(graph: Graph, imports: Imports) -> Iterator[str]:
    """The methods that set attributes anew, and keep modules in eval mode."""
    for method in RESETTING:
        resets = [reset for reset in graph.resets if reset.method == method]
        if method == "train" and (resets or graph.pinned):
            yield from _train(graph, resets, imports)
        elif method == LOADING and graph.versioned:
            yield from _load(resets, imports)
        elif resets:
            imports.typing.add("Any")
            yield ""
            yield f"def {method}(self, *args: Any, **kwargs: Any) -> Any:"
            yield from (f"{_INDENT}{_set(reset, imports)}" for reset in resets)
            yield f"{_INDENT}return super().{method}(*args, **kwargs)"


def _load(resets: list[Reset], imports: Imports) -> Iterator[str]:
    imports.typing.add("Any")
    yield ""
    yield (
        f"def {LOADING}"
        "(self, state_dict: Any, prefix: Any, local_metadata: Any, *args: Any) -> None:"
    )
    yield f'{_INDENT}if local_metadata.get("version") != self._version:'
    yield f'{_INDENT * 2}raise ValueError("these weights are of another version")'
    yield from (f"{_INDENT}{_set(reset, imports)}" for reset in resets)
    yield f"{_INDENT}super().{LOADING}(state_dict, prefix, local_metadata, *args)"


def _train(graph: Graph, resets: list[Reset], imports: Imports) -> Iterator[str]:
    yield ""
    yield 'def train(self, mode: bool = True) -> "nn.Module":'
    yield f"{_INDENT}super().train({'False' if () in graph.pinned else 'mode'})"
    for reset in resets:
        if reset.mode is not None:
            yield f"{_INDENT}if {'mode' if reset.mode else 'not mode'}:"
        yield f"{_INDENT * (1 if reset.mode is None else 2)}{_set(reset, imports)}"
    yield from (f"{_INDENT}{member_path(graph, path)}.eval()" for path in graph.pinned if path)
    yield f"{_INDENT}return self"


def _set(reset: Reset, imports: Imports) -> str:
    return f"{attribute('self', reset.attribute)} = {literal(reset.value, imports)}"
