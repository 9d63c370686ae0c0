"""The commands of examples/many_machines/README.md, on this machine."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "many_machines"


def commands(heading):
    """Return the commands below a heading of the README, without their comments."""
    text = (FOLDER / "README.md").read_text()
    section = re.split(r"^## ", text, flags=re.M)
    (section,) = [part for part in section if part.startswith(heading)]
    block = re.search(r"^```bash\n(.*?)^```", section, re.M | re.S)[1]
    return [line.partition(" #")[0].strip() for line in block.splitlines()]


@pytest.fixture
def start(tmp_path):
    """Start commands of this environment, ``/shared`` being a folder of the test."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    python_path = os.pathsep.join([str(FOLDER.parents[1]), *sys.path])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": python_path}
    started = []

    def start(command, *more):
        command = command.replace("/shared", str(tmp_path))
        with open(tmp_path / f"log{len(started)}", "w") as log:
            process = subprocess.Popen(
                [*shlex.split(command), *more],
                **{"cwd": FOLDER, "env": environment, "text": True},
                **{"stdout": subprocess.PIPE, "stderr": log},
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.communicate(timeout=20)


@pytest.mark.slow  # 90 s; tests/clusters has the same searches by a LocalCluster
def test_a_search_on_dask(start, tmp_path):
    pytest.importorskip("distributed")
    install, scheduler, worker, search = commands("A search on Dask")
    assert install == 'pip install "skkd[dask]"'
    start(scheduler, "--port", "0", "--dashboard-address", ":0")
    start(worker)
    done = start(search, "--epochs", "1")
    out, _ = done.communicate(timeout=600)
    assert done.returncode == 0, (tmp_path / "log2").read_text()
    assert re.search(r"teacher: 337 samples computed by the workers", out)
    assert re.search(r"best: .*, 0\.\d+ in cross-validation", out)
    assert list(tmp_path.glob("logits/**/rows.npy"))


@pytest.mark.slow
def test_a_search_on_two_processes_of_this_machine(start):
    pytest.importorskip("distributed")
    done = start("python search_on_dask.py --epochs 1")
    assert "on samples that nobody saw: 0." in done.communicate(timeout=600)[0]
    assert done.returncode == 0
