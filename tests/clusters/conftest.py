"""A Dask cluster of two worker processes, and a Ray of two, for all tests here."""

import os
import sys

import logged_teacher
import pytest

from skkd import DistilledClassifier
from skkd.students import MLP


@pytest.fixture(scope="session")
def client():
    """Two processes of one thread each."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="session")
def ray():
    """Two processes, which find the modules of these tests."""
    ray = pytest.importorskip("ray")
    path = os.pathsep.join(filter(None, sys.path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", path)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "memory")


@pytest.fixture
def teacher(tmp_path):
    return logged_teacher.LoggedTeacher(str(tmp_path / "log"))


@pytest.fixture
def student(teacher, folder):
    return DistilledClassifier(
        MLP,
        module__hidden=(4,),
        teacher=teacher,
        memory=folder,
        max_epochs=1,
        batch_size=30,
        random_state=0,
        device="cpu",
    )
