"""A folder of images, what a run makes of it, and a way to run commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from image_folders import write_squares

import skkd


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="session")
def done(photos, tmp_path_factory):
    """The folder of a run of three epochs."""
    pytest.importorskip("safetensors")
    from skkd.quickstart import distill_folder

    out = tmp_path_factory.mktemp("runs") / "out"
    distill_folder(photos, out, size=8, epochs=3, teacher="train")
    return out


@pytest.fixture
def skkd_command():
    """Run `skkd` in this process; the result has exit_code, stdout and stderr."""
    from skkd._cli import main

    def run(*arguments):
        return CliRunner().invoke(main, [*map(str, arguments)], prog_name="skkd")

    return run


@pytest.fixture
def skkd_process():
    """Start `skkd` in a process of its own."""
    paths = [str(Path(skkd.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def start(*arguments, before="", **options):
        script = f"{before}\nfrom skkd._cli import main; main(prog_name='skkd')"
        return subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            text=True,
            env=env,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    return start
