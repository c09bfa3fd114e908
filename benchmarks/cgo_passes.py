"""What each pass of `cgo` gives: the same jobs with all passes, and with one of them switched off.

All ways train the same candidates in turn, in this process and planned before; each chooses the
sizes of its clusters for itself. Prints what a way takes compared with all passes: above 1, the
pass makes training faster.
"""

import argparse
import os
import tempfile
from collections.abc import Callable

import nas_core as nas
import torch
from cgo_workloads import WORKLOADS, Workload
from nas_core.testing import Recording
from side_by_side import compared, interleaved

SHOWN = ("mlp64", "cnn8", "nb201-8", "heads8")
SWITCHES = ("share_data", "deduplicate", "cache_features", "fuse", "stack_optimizer", "tape")


def trained(workload: Workload, **options: bool) -> Callable[[], None]:
    """Plan all candidates; what is given trains them."""
    engine = nas.engine("cgo", **options)
    recipe = workload.recipe(workload.steps)
    jobs = engine.plan(workload.space(), workload.candidates(), recipe)

    def run() -> None:
        for job in jobs:
            if any(result.failed for result in job.run(Recording())):
                raise SystemExit("candidates failed: nothing to compare")

    return run


def main() -> None:
    """Read the command line, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", default=SHOWN)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads; without a pass / with all")
    for name in options.workloads:
        workload = WORKLOADS[name]
        ways = {"all": trained(workload)}
        ways |= {switch: trained(workload, **{switch: False}) for switch in SWITCHES}
        seconds = interleaved(ways, options.rounds, warm_up=3)  # Three batches find what is best.
        print(f"{name}: {workload.title}, {workload.steps} steps")
        for switch in SWITCHES:
            print(f"  {switch:<16} {compared(seconds[switch], seconds['all'])}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # Read when the engine is imported.
        main()
