"""Heads of loops in generated source: each thing that is gone through is named once."""

import pytest
import torch

from nas_engine_graph import convert
from nas_engine_graph.ir import Graph
from nas_engine_graph.ir.parser import parse

_LOOP = """graph Net torch.nn.Module {{
  method forward(%x, %xs: "List[Tensor]", %ks: "List[int]", %n: "int", %go: "bool") -> "Tensor" {{
    %trips: "int" = builtin trips({trips})
    {extra}
    %y = loop(%trips, {start}, %x) {{
      take %index: "int", %z
      {body}
      %sum = aten.add.Tensor(%z, %x)
      give {proceed}, %sum
    }}
    give %y
  }}
}}
"""


def _graph(
    trips: str, body: str, extra: str = "", start: str = "True", proceed: str = "True"
) -> Graph:
    text = _LOOP.format(trips=trips, body=body, extra=extra, start=start, proceed=proceed)
    return parse("\n".join(line for line in text.splitlines() if line.strip()) + "\n")


@pytest.mark.parametrize(
    ("trips", "body", "head"),
    [
        ("%xs", "%v = builtin item(%xs, %index)\n%w = aten.sin.default(%v)", "for v in xs:"),
        ("%xs", "", "for __ in xs:"),
        ("%ks", "%v: \"int\" = builtin item(%ks, %index)", "for _ in ks:"),
        (
            "%xs, %x",
            "%v = builtin item(%x, %index)\n%w = aten.sin.default(%v)",
            "for __, v in zip(xs, x):",
        ),
        ("%n, %xs", "%w = aten.add.Scalar(%x, %index)", "for index, __ in zip(range(n), xs):"),
        ("%xs", "%w = aten.add.Scalar(%x, %index)", "for index, __ in enumerate(xs):"),
        (
            "%xs",
            '%i: "int" = builtin derive_index(%index, %n, 1)\n%w = aten.add.Scalar(%x, %i)',
            "for i, __ in enumerate(xs, n):",
        ),
    ],
)  # fmt: skip
def test_what_is_gone_through_is_in_the_head(trips: str, body: str, head: str) -> None:
    graph = _graph(trips, body)
    assert head in graph.to_source()


def test_trips_that_are_asked_for_or_may_not_start_are_counted() -> None:
    item = "%v = builtin item(%xs, %index)\n%w = aten.sin.default(%v)"
    more = '%more: "int" = builtin add(%trips, 1)\nbuiltin print(%more)'
    asked = _graph("%xs", item, extra=more)
    late = _graph("%xs, %n", item, start="%go", proceed="%go")
    assert "range(trips)" in asked.to_source()
    assert "range(min([len(xs), n]))" in late.to_source()
    for graph in (asked, late):
        model = graph.instantiate()
        xs = [torch.ones(2)] * 3
        found = model(torch.ones(2), xs, [1], 2, True)
        assert found.tolist() == [4.0 - (graph is late)] * 2
        assert convert(model) is not None
