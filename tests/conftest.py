"""Settings that every test shares."""

import importlib
import os
import sys
from pathlib import Path

# The networks of the tests are so small that threads cost more than they give. Set
# before anything reads it, for the processes that tests start as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import settings

from skkd.memory import clear_cache

# Not collected for doctests: several files of the first name would be one module to
# pytest, and the second is a script that torchrun starts.
collect_ignore_glob = ["*conftest.py"]
collect_ignore = ["distributed/two_processes.py"]

torch.set_num_threads(1)
# The same examples in every run and in every process.
settings.register_profile("skkd", derandomize=True, deadline=None)
settings.load_profile("skkd")


@pytest.fixture(autouse=True)
def _empty_cache():
    """Start every test with no cached logits."""
    clear_cache()


@pytest.fixture(autouse=True)
def _seed():
    """Give a test that names no seed the same random numbers in every run.

    An unlucky forest of five trees, or an unlucky network, would be warned of.
    """
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def example(monkeypatch):
    """Import a script of examples/ by its name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
    return importlib.import_module


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a script with these arguments; return what it prints."""

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", ["script.py", *map(str, arguments)])
        script.main()
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and weights, where it is present."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return folder
