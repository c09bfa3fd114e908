import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # alone.py and models.py, which tests share
torch.set_num_threads(1)
# pytest --hypothesis-profile=thorough: many more examples, and every combination.
settings.register_profile("thorough", max_examples=2000)


@pytest.fixture(scope="session")
def thorough() -> bool:
    return bool(settings.get_current_profile_name() == "thorough")
