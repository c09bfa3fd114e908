"""How the methods of a module name what is registered in it, whatever the names are."""

from __future__ import annotations

import keyword

from nas_engine_graph.ir import Graph, Layer, Member

__all__ = ["attribute", "call_on", "member_path"]


def attribute(owner: str, name: str) -> str:
    """``owner.name``, or ``getattr`` for a name that is no identifier."""
    if name.isidentifier() and not keyword.iskeyword(name):
        return f"{owner}.{name}"
    return f'getattr({owner}, "{name}")'


def _step(text: str, owner: Member | None, name: str) -> str:
    kind = owner.kind if isinstance(owner, Graph) else ""
    if kind in ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ParameterList"):
        names = [n for n, _ in owner.members] if isinstance(owner, Graph) else []
        if name in names and name.isdigit() and names == [str(i) for i in range(len(names))]:
            return f"{text}[{name}]"
    if kind in ("torch.nn.ModuleDict", "torch.nn.ParameterDict"):
        return f"{text}[{name!r}]"
    return attribute(text, name)


def member_path(graph: Graph | None, path: tuple[str, ...]) -> str:
    """The expression for what is at ``path``, starting at ``self``."""
    text: str = "self"
    owner: Member | None = graph
    for name in path:
        text = _step(text, owner, name)
        owner = dict(owner.members).get(name) if isinstance(owner, Graph) else None
        if isinstance(owner, Layer):
            owner = None
    return text


def call_on(graph: Graph | None, path: tuple[str, ...], method: str) -> str:
    """What stands before the parentheses of a call of a module or of one of its methods."""
    owner = member_path(graph, path)
    if method == "forward" and path:
        return owner
    return attribute(owner, method)
