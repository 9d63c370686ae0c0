"""What a figure of time cannot be read without."""

import os
import platform

import numpy as np
import pytest
import torch

import skkd
from skkd._evaluate import machine as _machine
from skkd.report import describe_machine


def test_hardware_system_and_versions():
    hardware, system, versions = describe_machine(["pillow", "no-such-package"]).split(
        "\n"
    )
    assert f"torch on {torch.get_num_threads()} thread" in hardware
    assert "GPU: " in hardware
    assert platform.python_version() in system
    assert f"skkd {skkd.__version__}, torch {torch.__version__.split('+')[0]}" in (
        versions
    )
    assert f"numpy {np.__version__}, pillow " in versions
    assert versions.endswith("no-such-package None")


def test_the_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    assert "GPU: A GPU" in describe_machine()


@pytest.mark.parametrize("name", ["sysconf", "sched_getaffinity"])
def test_what_a_system_does_not_tell_is_left_out(monkeypatch, name):
    monkeypatch.delattr(os, name, raising=False)
    described = describe_machine()
    assert ("RAM" in described) == (name != "sysconf")
    assert f"{_machine._n_cores()} cores" in described


def test_where_there_is_no_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(_machine, "Path", lambda name: tmp_path / "none")
    monkeypatch.setattr(platform, "processor", lambda: "some CPU")
    assert describe_machine().startswith("CPU: some CPU, ")
