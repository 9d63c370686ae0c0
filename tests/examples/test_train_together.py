"""The commands of examples/many_machines/README.md that start one fit by torchrun."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("accelerate")

FOLDER = Path(__file__).parents[2] / "examples" / "many_machines"
ENDPOINT = "first.example.org:29400"
COMMANDS = re.findall(r"^(.*torchrun .*)$", (FOLDER / "README.md").read_text(), re.M)
COMMANDS = [command for command in COMMANDS if command.endswith(".py")]


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def start(command, port, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pythonpath = f"{FOLDER.parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    command = command.replace(ENDPOINT, f"localhost:{port}")
    return subprocess.Popen(
        ["bash", "-c", f"{command} --epochs 2 --out {tmp_path}/student.safetensors"],
        cwd=FOLDER,
        env={"OMP_NUM_THREADS": "1", **os.environ, "PATH": path,
             "PYTHONPATH": pythonpath},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_there_are_two_commands():
    assert [ENDPOINT in command for command in COMMANDS] == [False, True]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(COMMANDS[0], id="one machine", marks=pytest.mark.slow),
        pytest.param(COMMANDS[1], id="two machines", marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_together(command, tmp_path):
    n_machines, port = (2 if ENDPOINT in command else 1), free_port()
    started = [start(command, port, tmp_path) for _ in range(n_machines)]
    try:
        told = [process.communicate(timeout=600) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [p.returncode for p in started] == [0] * n_machines, told
    out = "".join(printed for printed, _ in told)
    assert re.search(r"2 processes, test accuracy 0\.[5-9]", out)
    assert out.count("train_loss") == 1  # one process prints
    assert (tmp_path / "student.safetensors").stat().st_size > 10_000
