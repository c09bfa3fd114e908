"""Strategies are cheap to import: the command line lists and checks them without torch."""

import subprocess
import sys


def test_strategies_import_neither_torch_nor_optuna() -> None:
    code = (
        "import sys, nas_search.strategies as s; s.make_strategy('random');"
        "print(*{'torch', 'optuna', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
