"""Settings that every test shares."""

from pathlib import Path

import pytest
import torch

from skkd.memory import forget

# The networks of the tests are so small that threads cost more than they give.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """Ask every teacher anew in every test."""
    forget()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and weights, where it is present."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return folder
