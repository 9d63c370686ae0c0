"""One study in several storages: shared trials, killed workers, lost connections."""

import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import time

import optuna
import pytest
import study_cases
from optuna.trial import TrialState
from study_cases import Slow, student, study, until, wait_for_port

from skkd.search import _storages
from skkd.search._beats import release
from skkd.search._space import suggest

FORK = multiprocessing.get_context("fork")
PROXY = """
import sys
from optuna.storages import get_storage, run_grpc_proxy_server
run_grpc_proxy_server(get_storage(sys.argv[1]), port=int(sys.argv[2]))
"""


@pytest.fixture
def proxy(tmp_path):
    """Optuna's gRPC proxy of an SQLite file, in a process of its own."""
    pytest.importorskip("grpc")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    url = f"sqlite:///{tmp_path / 'proxied.db'}"
    command = [sys.executable, "-W", "ignore", "-c", PROXY, url, str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for_port(port)
    yield f"grpc://localhost:{port}"
    process.kill()
    process.wait()


@pytest.fixture(params=["sqlite", "journal", "postgres", "proxy"])
def storage(request, tmp_path):
    """The name of an empty storage of each kind."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        name = f"d{os.getpid()}_{time.monotonic_ns()}"
        server.create_database(name)
        return f"postgresql:///{name}"
    if request.param == "proxy":
        return request.getfixturevalue("proxy")
    return str(tmp_path / {"sqlite": "s.db", "journal": "s.log"}[request.param])


def slow_study(storage, **params):
    estimator = student(callbacks=[Slow()], max_epochs=4)
    return study(estimator=estimator, storage=storage, cv=2, **params)


def work(storage, n_trials, pause):
    """Run trials, in a process that may be killed."""
    study_cases.PAUSE[0] = pause
    slow_study(storage).optimize(n_trials, refit=False)


def test_workers_share_trials_and_a_killed_one_is_replaced(storage):
    one = FORK.Process(target=work, args=(storage, 1, 0))
    one.start()
    one.join()
    assert one.exitcode == 0
    killed = FORK.Process(target=work, args=(storage, 3, 30))
    killed.start()
    joined = slow_study(storage)
    trials = joined.open().get_trials
    until(lambda: len(trials()) == 2 and len(trials()[-1].params) == 3)
    killed.kill()
    killed.join()
    joined.optimize(3, refit=False)
    first, dead, *others = joined.study_.trials
    assert first.state == TrialState.COMPLETE
    assert dead.state == TrialState.FAIL
    assert [trial.state in study_cases.FINISHED for trial in others] == [True, True]
    # What it tried is tried again, and nothing else is done twice.
    assert [t.params == dead.params for t in others].count(True) == 1
    assert others[0].params != first.params


def test_an_interrupted_trial_waits_for_another_worker(tmp_path):
    found = slow_study(tmp_path / "s.log")
    objective = found._objective

    def interrupted(trial):
        objective(trial)
        raise KeyboardInterrupt

    found._objective = interrupted
    with pytest.raises(KeyboardInterrupt):
        found.optimize(2)
    found._objective = objective
    found.optimize(1, refit=False)
    stopped, again = found.study_.trials
    assert (stopped.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert stopped.params == again.params


def test_a_worker_whose_trial_was_taken_up_goes_on(tmp_path):
    """As one of a machine that slept."""
    found = slow_study(tmp_path / "s.log")
    objective, taken = found._objective, []

    def asleep(trial):
        if not taken:
            taken.append(trial.number)
            suggest(found.space, trial)
            release(found.study_, trial.number)
        return objective(trial)

    found._objective = asleep
    found.optimize(2, refit=False)
    states = [trial.state.name for trial in found.study_.trials]
    assert states == ["FAIL", "COMPLETE", "COMPLETE"]
    assert found.study_.trials[1].params == found.study_.trials[0].params


def test_a_trial_that_kills_its_workers_is_not_run_for_ever(tmp_path):
    found = slow_study(tmp_path / "s.log")
    opened = found.open()
    opened.enqueue_trial({"alpha": 0.5})
    for number in range(4):
        trial = opened.ask()
        assert trial.number == number
        trial.suggest_float("alpha", 0, 1)
        release(opened, number)
    assert [t.state for t in opened.trials] == [TrialState.FAIL] * 4
    assert {t.params["alpha"] for t in opened.trials} == {0.5}


# --- Lost connections -----------------------------------------------------------------


def test_a_database_that_goes_away_leaves_what_was_finished(postgres):
    postgres.create_database("away")
    found = slow_study("postgresql:///away")
    objective = found._objective

    def lost(trial):
        value = objective(trial)
        if trial.number == 1:
            postgres.stop()
        return value

    found._objective = lost
    with pytest.raises(ConnectionError) as caught:
        found.optimize(3)
    message = str(caught.value)
    assert message.startswith("The study cannot be reached, storage='postgresql:///aw")
    assert "What was finished is kept" in message
    assert "start the worker again" in message
    with pytest.raises(ConnectionError, match="cannot be reached"):
        slow_study("postgresql:///away").open()
    postgres.start()
    again = slow_study("postgresql:///away").optimize(3, refit=False)
    states = [trial.state.name for trial in again.study_.trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    _, failed, *later = again.study_.trials
    assert failed.params in [trial.params for trial in later]


def test_a_wrong_password_is_explained_and_not_shown(postgres, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(ConnectionError, match="password authentication failed"):
        study(storage="postgresql:///postgres").open()
    url = "postgresql://skkd:open-sesame@/postgres"
    with pytest.raises(ConnectionError) as caught:
        study(storage=url).open()
    assert "open-sesame" not in str(caught.value)
    assert "open-sesame" not in str(study(storage=url))


def test_a_heartbeat_outlives_a_moment_without_database(postgres, caplog):
    storage = _storages.open_storage("postgresql:///postgres", 1, 3)
    opened = optuna.create_study(storage=storage)
    trial_id = storage.create_new_trial(opened._study_id)
    storage.record_heartbeat(trial_id)
    postgres.stop()
    storage.record_heartbeat(trial_id)  # raises nothing
    postgres.start()
    storage.record_heartbeat(trial_id)


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    pytest.importorskip("grpc")
    monkeypatch.setattr(_storages, "_SECONDS_TO_CONNECT", 0.2)
    with pytest.raises(ConnectionError, match="storage='grpc://localhost:1': "):
        study(storage="grpc://localhost:1").open()


@pytest.mark.parametrize(
    ("module", "storage"), [("psycopg", "postgresql:///x"), ("grpc", "grpc://x:1")]
)
def test_a_missing_package_is_named(monkeypatch, module, storage):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs {module}: pip install .skkd\[study"):
        study(storage=storage).open()


def test_a_journal_is_read_after_a_full_disk(tmp_path):
    path = tmp_path / "s.log"
    found = study(storage=path, cv=2).optimize(1, refit=False)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # A part of the next record is written, as to a disk that becomes full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(ConnectionError, match=r"s\.log.*File too large"):
            found.optimize(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not path.read_bytes().endswith(b"\n")
    again = study(storage=path, cv=2).optimize(2, refit=False)
    assert again.study_.trials[0].params == found.study_.trials[0].params
    assert len(study(storage=path, cv=2).open().trials) == len(again.study_.trials)
