"""Memory that is freed and taken again costs no new pages, and is given back in the end."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from nas_search.memory import kept_memory

count, size = map(int, sys.argv[1:])

def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        layers = [bytearray(size) for _ in range(count)]
        del layers
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

faults(3)
usual, started = faults(20), resident()
with kept_memory():
    with kept_memory():
        faults(1)
    kept, peak = faults(20), resident()
assert kept * 10 < usual, (kept, usual)
assert peak - started >= 8, (started, peak)
assert resident() - started <= 4, (started, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
@pytest.mark.parametrize(("count", "mebibytes"), [(16, 1), (2, 40)])
def test_is_kept_and_given_back(count: int, mebibytes: int) -> None:
    """Also blocks that are larger than any that glibc lets be kept."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(count), str(mebibytes << 20)],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
