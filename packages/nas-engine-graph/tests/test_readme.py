"""The examples of the README run."""

import linecache
import re
from pathlib import Path
from types import ModuleType

README = Path(__file__).parent.parent / "README.md"


def test_the_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    source = "\n".join(blocks)
    linecache.cache["<readme>"] = (len(source), None, source.splitlines(True), "<readme>")
    module = ModuleType("readme")
    exec(compile(source, "<readme>", "exec", dont_inherit=True), module.__dict__)
    assert module.graph.digest == module.convert(module.graph.instantiate()).digest
