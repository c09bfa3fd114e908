import sys
from pathlib import Path

import torch

# The corpus is a package beside the tests: its modules need names that generated source can import.
sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)
