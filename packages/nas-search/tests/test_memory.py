"""Memory that is freed and taken again costs no new pages, and is given back in the end."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from nas_search.memory import kept_memory

def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        layers = [bytearray(1 << 20) for _ in range(16)]
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
def test_is_kept_and_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
