"""The command `python -m skkd.search worker study.py`."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sklearn.datasets import load_iris
from study_cases import FINISHED, study_of, wait_for_port, write_definition

from skkd.search import _storages, _worker

EXAMPLE = Path(__file__).parents[2] / "examples" / "many_machines"
COUNTING = """
class Counting(LogisticRegression):
    def predict_proba(self, X):
        with open(COUNTS, "a") as file:
            file.write(f"{len(X)}\\n")
        return super().predict_proba(X)


teacher = Counting(max_iter=500).fit(X, y)
"""


@pytest.fixture
def worker(capsys, monkeypatch, tmp_path):
    """Run the command in this process; return exit code, output and errors."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("warnings.showwarning", None)

    def worker(*arguments):
        with pytest.raises(SystemExit) as left:
            _worker.main(["worker", *map(str, arguments)])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    yield worker
    signal.signal(signal.SIGTERM, before)
    for name, module in [*sys.modules.items()]:  # definitions, all of one name
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def start(path, *arguments, **environment):
    command = [sys.executable, "-m", "skkd.search", "worker", path, *arguments]
    return subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_two_workers_share_a_database_and_the_logits_of_the_teacher(postgres, tmp_path):
    postgres.create_database("two")
    counts = f"COUNTS = {str(tmp_path / 'counts')!r}\n"
    path = write_definition(
        tmp_path,
        "postgresql:///two",
        memory=tmp_path / "cache",
        **{"teacher = LogisticRegression(max_iter=500).fit(X, y)": counts + COUNTING},
    )
    both = [start(path, "--n-trials", "6") for _ in range(2)]
    outs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    storage = _storages.open_storage("postgresql:///two", 30, 90)
    trials = optuna.load_study(study_name="distillation", storage=storage).trials
    assert [t.number for t in trials] == list(range(len(trials)))
    # Six, or seven if both began the last at the same moment.
    assert 6 <= sum(trial.state in FINISHED for trial in trials) <= 7
    began = re.findall(r"^trial (\d+):", "".join(out for out, _ in outs), re.M)
    assert sorted(map(int, began)) == list(range(len(trials)))
    assert trials[0].params["alpha"] == 0.0
    assert len({trial.params["lr"] for trial in trials}) == len(trials)
    asked = [int(n) for n in (tmp_path / "counts").read_text().split()]
    # Each sample once, up to what both compute at the same moment; not once a trial.
    n_distinct = len(np.unique(load_iris().data, axis=0))  # two samples are equal
    assert n_distinct <= sum(asked) < 2 * n_distinct


def test_a_worker_says_what_it_did(worker, tmp_path):
    path = write_definition(tmp_path, str(tmp_path / "s.log"))
    code, out, err = worker(path, "--n-trials", 2)
    assert (code, err) == (0, "")
    begin, *trials, end = out.splitlines()
    where = f"study 'distillation' in {tmp_path / 's.log'}: "
    assert begin == f"{where}0 trials finished"
    assert re.fullmatch(r"trial 0: 0\.\d{4}  alpha=0, lr=0\.\d+", trials[0])
    assert re.fullmatch(rf"{where}2 trials finished, best valid_acc 0\.\d+", end)
    assert worker(path, "--n-trials", 2)[1].splitlines() == [end, end]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("study = 3", 1, "defines no study: expected study = Dist.* got int"),
        ("", 1, "got nothing of this name"),
        ("import nothing_of_this_name", 1, "No module named 'nothing_of_this_name'"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero .--debug shows where"),
    ],
)
def test_other_files_are_refused_in_a_line(worker, tmp_path, text, code, says):
    (tmp_path / "study.py").write_text(text)
    found, out, err = worker(tmp_path / "study.py")
    assert (found, out) == (code, "")
    assert re.match(f"error: .*{says}", err)
    assert err.count("\n") == 1


def test_what_is_no_file_is_refused(worker, tmp_path):
    for path in (tmp_path, tmp_path / "study.py", tmp_path / "study.pkl"):
        code, _, err = worker(path)
        assert code == 1
        assert "expected a Python file that defines study = Dist" in err


def test_a_password_in_the_file_is_refused(worker, tmp_path):
    path = write_definition(tmp_path, "postgresql://me:open-sesame@db/students")
    code, _, err = worker(path)
    assert code == 1
    assert "The password of the storage is written in" in err
    assert "open-sesame" not in err


def test_a_database_that_is_away_has_an_exit_code(worker, tmp_path):
    pytest.importorskip("psycopg")
    path = write_definition(tmp_path, f"postgresql:///x?host={tmp_path}")
    code, _, err = worker(path)
    assert code == 3
    assert err.startswith("error: The study cannot be reached, storage=")
    assert "it goes on" in err
    assert err.count("\n") == 1


def test_another_machine_has_an_exit_code(worker, tmp_path):
    storage = str(tmp_path / "s.log")
    worker(write_definition(tmp_path, storage), "--n-trials", 1)
    other = {"max_epochs=2": "max_epochs=3"}
    code, _, err = worker(write_definition(tmp_path, storage, **other))
    assert code == 4
    assert "The study was begun with max_epochs 2; here it has max_epochs 3" in err


def test_help_names_the_exit_codes(worker):
    code, out, _ = worker("--help")
    assert code == 0
    for name in ("--n-trials", "--timeout", "--allow-other-versions", "exit codes"):
        assert name in out


@pytest.mark.parametrize(
    ("sent", "code"),
    [("SIGINT", 130), pytest.param("SIGTERM", 143, marks=pytest.mark.slow)],
)
def test_a_stopped_worker_leaves_its_trial(tmp_path, sent, code):
    slow = {"max_epochs=2": "max_epochs=100_000"}
    path = write_definition(tmp_path, str(tmp_path / "s.log"), **slow)
    process = start(path)
    line = process.stdout.readline()
    assert "0 trials finished" in line
    time.sleep(0.5)
    process.send_signal(getattr(signal, sent))
    _, err = process.communicate(timeout=30)
    # Python may also end itself by the signal, which shells call 130 as well.
    assert process.returncode in (code, 128 - code), err
    assert "the trial is left to another worker" in err
    states = [trial.state for trial in study_of(tmp_path / "s.log").trials]
    assert states.count(TrialState.RUNNING) == 0
    assert states.count(TrialState.WAITING) == 3


# --- The example ----------------------------------------------------------------------


@pytest.mark.slow  # a minute
def test_the_commands_of_the_example(postgres, tmp_path, monkeypatch):
    text = (EXAMPLE / "README.md").read_text()
    part = text[text.index("## A study on PostgreSQL") :]
    first, others = re.findall(r"```bash\n(.*?)```", part, re.S)[:2]
    proxy = re.findall(r"```python\n(.*?)```", part, re.S)[0]
    commands = [c for c in first.splitlines() if c and not c.startswith("#")]
    assert commands[0].startswith("pip install")
    exported = commands.pop(2)
    assert exported.startswith("export PGHOST=db.example.org PGUSER=me PGPASSWORD=")
    monkeypatch.setenv("CACHE", str(tmp_path / "cache"))
    # The interpreter of the tests, and fewer trials.
    monkeypatch.setenv("PATH", f"{tmp_path}:{postgres.programs}:{os.environ['PATH']}")
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)

    def run(command):
        command = command.replace("--n-trials 40", "--n-trials 2")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=EXAMPLE,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    outs = [run(command) for command in commands[1:]]
    assert "2 trials finished" in outs[1]
    assert "'alpha'" in outs[2]
    journal, by_proxy = others.splitlines()
    run(journal.replace("/shared", str(tmp_path)))
    port = 13000 + os.getpid() % 1000
    code = proxy.replace("13000", str(port)).replace("0.0.0.0", "localhost")
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code])
    try:
        wait_for_port(port)
        out = run(by_proxy.replace("db.example.org:13000", f"localhost:{port}"))
        assert "2 trials finished" in out
    finally:
        server.kill()
        server.wait()
