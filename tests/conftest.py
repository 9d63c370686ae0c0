"""Settings that every test shares."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from skkd.memory import clear_cache

# Not collected for doctests: several files of this name would be one module to pytest.
collect_ignore_glob = ["*conftest.py"]

# The networks of the tests are so small that threads cost more than they give.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """Ask every teacher anew in every test."""
    clear_cache()


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
