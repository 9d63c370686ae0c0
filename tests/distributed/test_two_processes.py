"""One fit in two processes: launched once, by torchrun, for all of these tests.

two_processes.py says what each process does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("accelerate")

SCRIPT = Path(__file__).with_name("two_processes.py")
ROOT = Path(__file__).parents[2]


def launched(*command, **env):
    """Run a command as from a terminal, on one thread for each process."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        env={**inherited, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **env},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def run(folder):
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    done = launched(*torchrun, SCRIPT, folder)
    said = [line for line in done.stderr.splitlines() if line.startswith("[rank")]
    assert done.returncode == 0, "\n".join(said) or done.stderr
    return done


@pytest.fixture(scope="module")
def seen(run, folder):
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


CASES = [
    *("labels", "kd", "adam", "class_weight", "criterion__weight", "split"),
    *("last batch of one", "over the batch", "rkd", "weights", "unlabelled"),
    *("batch norm", "fitnet", "fitnet, cached", "crd", "fixed views"),
]


def test_batch_normalisation_is_that_of_one_process(seen):
    for of_process in seen:
        assert len(of_process["batch_norm"]) == 8
        assert max(of_process["batch_norm"].values()) < 1e-12


@pytest.mark.parametrize("case", CASES)
def test_the_student_is_that_of_one_process(seen, case):
    found = seen[0]["equal_to_one"][case]
    assert found["moved"] > 0.001
    assert found["apart"] < 1e-5
    assert found["losses"] < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_all_processes_hold_the_same_student(seen, case):
    digests = {one["equal_to_one"][case]["digest"] for one in seen}
    assert len(digests) == 1


@pytest.mark.parametrize("case", ["kd", "adam", "weights", "unlabelled", "fixed views"])
def test_the_teacher_is_asked_once_in_all(seen, case):
    counts = [one["equal_to_one"][case]["rows"] for one in seen]
    assert counts == [seen[0]["equal_to_one"][case]["rows of one"], 0]
    assert counts[0] >= (121 if case != "fixed views" else 150)


def test_cached_layers_of_the_teacher_are_asked_for_once_in_all(seen):
    found = [one["equal_to_one"]["fitnet, cached"] for one in seen]
    # Two rows show each process the shapes of the layers.
    assert [one["rows"] for one in found] == [found[0]["rows of one"], 2]


def test_a_teacher_that_runs_in_training_sees_the_share_of_each_process(seen):
    found = [one["equal_to_one"]["fitnet"] for one in seen]
    assert sum(one["rows"] for one in found) < found[0]["rows of one"] + 10
    assert found[1]["rows"] < 0.6 * found[0]["rows of one"]


@pytest.mark.parametrize("cv", ["None", "3"])
def test_a_teacher_is_fitted_once_in_all(seen, cv):
    found = [one["fitted_teachers"][cv] for one in seen]
    assert found[0]["apart"] < 1e-5
    assert found[0]["teacher"] == found[1]["teacher"]


def test_dropout_is_repeatable_and_an_unseeded_fit_is_one_fit(seen):
    assert seen[0]["own_draws"]["repeatable"]
    assert len({one["own_draws"]["digest"] for one in seen}) == 1
    assert len({one["own_draws"]["unseeded"] for one in seen}) == 1


def test_predictions_are_gathered_in_order(seen):
    for one in seen:
        assert one["as_estimator"]["gathered"] < 1e-6
        assert one["as_estimator"]["few"] < 1e-6
        assert one["as_estimator"]["one row"] == 1


def test_clones_share_the_accelerator_and_pickles_have_none(seen):
    for one in seen:
        found = one["as_estimator"]
        assert found["pickled"] and found["pickle has"] == "None"
        assert found["clone shares"] and found["param"]


def test_a_search_is_the_same_in_all_processes(seen):
    first, second = (one["as_estimator"] for one in seen)
    assert first["scores"] == second["scores"]
    assert first["best"] == second["best"]
    assert "n_jobs=None" in first["n_jobs"]["message"]


def test_histories_are_equal_and_all_stop_together(seen):
    first, second = (one["callbacks"] for one in seen)
    assert first["epochs"] == second["epochs"] < 40
    assert first["history"] == second["history"]
    assert first["digest"] == second["digest"]
    assert first["batches"] == [50, 40, None]  # the last one validates


def test_callbacks_get_whole_batches(seen):
    for one in seen:
        rows = [entry for entry in one["callbacks"]["seen"] if entry != "written"]
        assert rows[:2] == [[True, 50, 50, 50], [True, 40, 40, 40]]
        assert rows[2] == [False, 31, 31, 31]


def test_one_process_prints_and_writes(run, seen):
    assert [one["callbacks"]["checkpoints"] > 0 for one in seen] == [True, False]
    assert [one["callbacks"]["written"] for one in seen] == [True, False]
    assert run.stdout.count("Stopping since") == 1
    assert run.stdout.count("train_loss") == 1


def refusal(seen, name):
    return [one["refusals"][name] for one in seen]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other data", "They differ in: X"),
        ("fewer rows", "the number of samples (100 and 101)"),
        ("other parameters", "lr (0.1 and 0.2)"),
        ("all fail", "alpha=3"),
        ("keep", "on_interrupt='keep'"),
        ("device", "leave it at 'auto'"),
        ("instance norm", "InstanceNorm2d"),
        ("stops alone", "have parted"),
        ("other rows", "different rows"),
        ("still works", ""),
    ],
)
def test_what_is_refused_is_refused_in_all_processes(seen, name, words):
    for one in refusal(seen, name):
        assert words in one["message"]
        assert bool(one["kind"]) == bool(words)


def test_an_error_of_one_process_is_told_to_the_other(seen):
    first, second = refusal(seen, "one fails")
    assert second["kind"] == "ValueError" and "NaN" in second["message"]
    assert "failed in process 1: ValueError: " in first["message"]


def test_an_error_in_an_epoch_ends_all_processes(seen):
    first, second = (one["parting"]["first"] for one in seen)
    assert second["kind"] == "ValueError"
    assert "Another process of the fit has failed" in first["message"]
    assert first["seconds"] < 120  # not the half hour that torch would wait
    for one in seen:
        assert "start them anew" in one["parting"]["second"]["message"]


@pytest.mark.slow
def test_accelerate_launch_starts_one_process_which_says_so(tmp_path):
    launch = ("accelerate.commands.launch", "--cpu", "--num_processes", 2)
    script = tmp_path / "fit.py"
    script.write_text(
        "from accelerate import Accelerator\n"
        "from skkd import AcceleratedClassifier\n"
        "student = AcceleratedClassifier(accelerator=Accelerator(cpu=True))\n"
        "student.fit([[0.0], [1.0]], [0, 1])\n"
    )
    done = launched(*launch, script)
    assert done.returncode != 0
    assert "has started one" in done.stderr
