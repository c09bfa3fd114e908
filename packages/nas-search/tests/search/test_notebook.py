"""A notebook that runs an experiment shows a table, which is there when it is opened again."""

from __future__ import annotations

import warnings
from pathlib import Path

from nas_search.observers.notebook import NotebookTable, in_notebook

CODE = """
import torch
import nas_core as nas
import nas_core.nn as nn
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.strategies import RandomSearch

@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, nn.ValueChoice([1, 2, 3, 4], label="<b>width"))

def measure(model):
    if model.layer.out_features == 4:
        raise ValueError("<script>too wide</script>")
    return model.layer.out_features

config = ExperimentConfig(name="a<b", executor="inline", max_trials=4)
Experiment(Net(), FunctionEvaluator(measure), RandomSearch(seed=0), config).run()
"""


def test_a_notebook_shows_how_far_it_is(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter's own, about folders and loops
        import nbclient
        import nbformat

        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
        resources = {"metadata": {"path": str(tmp_path)}}
        nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    shown = [output for output in notebook.cells[0].outputs if output.output_type == "display_data"]
    assert len(shown) == 1
    html, text = (shown[0]["data"][kind] for kind in ("text/html", "text/plain"))
    assert text == "a<b: 4/4 trials, all 4 trials are done"
    assert "<strong>a&lt;b</strong>" in html
    assert "4/4 in " in html
    assert html.count("<tr>") == 4
    assert "&lt;b&gt;width" in html
    assert "ValueError: &lt;script&gt;too wide" in html
    assert "<script" not in html


def test_elsewhere_there_is_no_table(experiment) -> None:
    one = experiment()
    assert not in_notebook()
    assert not any(isinstance(each, NotebookTable) for each in one._observers())
