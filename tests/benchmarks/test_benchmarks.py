"""The benchmarks run, and what they share does what it says."""

import io
import os
import re
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.ensemble import RandomForestClassifier

from skkd.students import MLP

pytestmark = pytest.mark.slow  # a minute or two: each starts a process

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def common(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import common

    return common


def quickly(script, folder, *arguments):
    command = [sys.executable, BENCHMARKS / script, "--quick", "--threads", "1"]
    command += ["--data", folder, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "FAIL" not in done.stdout  # nothing is claimed of so small a run
    return done.stdout


SLOW = pytest.mark.slow


@pytest.mark.parametrize("workload", ["mnist", pytest.param("cifar", marks=SLOW)])
def test_bench_fit_runs(real_data, workload):
    out = quickly("bench_fit.py", real_data, "--only", workload, "--peers", "a,d")
    for side in (
        "(a) the tutorial's loop",
        "(d) skorch",
        "skkd fp32",
        "(e) floor fp32",
    ):
        assert f"| {side}" in out
    assert ("| skkd bf16" in out) == (workload == "cifar")
    assert f"ok   {workload}: rows skkd fp32 asks about and reuses, then again" in out


@pytest.mark.slow
def test_bench_losses_runs_and_goes_on(real_data, tmp_path):
    arguments = ("--seeds", "2", "--jobs", "1", "--results", tmp_path / "figures.jsonl")
    wanted = ("--only", "FitNet", "label smoothing")
    out = quickly("bench_losses.py", real_data, *arguments, *wanted)
    assert "  6/6  " in out
    assert "| label smoothing" in out
    again = quickly("bench_losses.py", real_data, *arguments, *wanted)
    assert "  1/" not in again
    assert again.split("Teacher:")[1] == out.split("Teacher:")[1]


@pytest.mark.slow
def test_bench_defaults_runs(real_data):
    out = quickly("bench_defaults.py", real_data, "--only", "digits", "--jobs", "1")
    assert re.search(r"The defaults: kd, T=\d, alpha=0\.\d\n", out)
    assert "digits, random forest: gain + 2 errors" in out


@pytest.mark.slow
def test_bench_export_runs(real_data):
    pytest.importorskip("onnxscript")
    out = quickly("bench_export.py", real_data)
    assert "| MLP 64-128-10, digits | int8 |" in out


@pytest.mark.slow
def test_bench_search_runs(real_data):
    out = quickly("bench_search.py", real_data)
    assert "ok   teacher rows computed, by either count: (600, 600)" in out


def test_bench_crossfit_runs(common, run, monkeypatch):
    import bench_crossfit

    forest = RandomForestClassifier(5, random_state=0)
    monkeypatch.setitem(bench_crossfit.TEACHERS, "random forest", forest)
    out = run(bench_crossfit, "--quick", "--threads", 1)
    for teacher in ("decision tree, fully grown", "1 nearest neighbour"):
        assert f"| digits | {teacher}" in out
    assert "MNIST" not in out and "FAIL" not in out


def test_bench_labels_runs(common, run):
    import bench_labels

    out = run(bench_labels, "--quick", "--threads", 1)
    assert "FAIL" not in out  # nothing is claimed of so small a run
    assert "| digits | 10 %     | 20     |" in out
    assert "| digits | 100 %    | 200    |" in out
    assert "The teacher itself: " in out


def test_bench_pruning_runs(common, run):
    import bench_pruning

    out = run(bench_pruning, "--quick", "--threads", 1)
    assert "FAIL" not in out  # nothing is claimed of so small a run
    assert "| digits | fold by fold    | 50         | 0       |" in out
    assert "| digits | by folds so far | 25         | 5       |" in out


def test_the_former_way_and_the_new_one_report_what_they_say(common):
    import bench_pruning
    import optuna

    curves = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.9]])
    reported = []
    for way in (bench_pruning.fold_by_fold, bench_pruning.by_folds_so_far):
        study = optuna.create_study(pruner=optuna.pruners.NopPruner())
        epochs = []
        study.optimize(
            lambda trial, way=way, epochs=epochs: way(trial, curves, epochs.append), 1
        )
        assert sum(epochs) == 6
        assert study.best_value == curves[:, 1].mean()
        reported.append(study.trials[0].intermediate_values)
    assert reported[0] == dict(enumerate(curves.flatten()))
    expected = {0: 0.1, 1: 0.2, 2: np.mean([0.2, 0.4]), 3: curves[:, 1].mean()}
    assert reported[1] == expected


def test_some_rows_are_labelled_every_class_at_least_once(common):
    import bench_labels

    y = np.arange(900) % 10
    for share, n in ((1, 10), (5, 45), (100, 900)):
        rows = bench_labels.labelled_rows(y, share, seed=0)
        assert len(np.unique(rows)) == len(rows) == n
        assert set(y[rows]) == set(range(10))
    first, other = (bench_labels.labelled_rows(y, 5, seed) for seed in (0, 1))
    assert set(first) != set(other)


def test_rows_are_drawn_for_one_purpose_each(common):
    X, y = np.arange(100)[:, None], np.arange(100)
    rows = common.draw(X, y, (10, 50, 20), seed=0)
    assert [len(part) for part in rows] == [10, 10, 50, 50, 20, 20]
    for X_part, y_part in (rows[:2], rows[2:4], rows[4:]):
        assert (X_part[:, 0] == y_part).all()
    assert len({*rows.y_teacher, *rows.y, *rows.y_test}) == 80
    assert (common.draw(X, y, (10, 50, 20), seed=1).y != rows.y).any()


def test_means_have_standard_errors(common):
    summary = common.Mean.of([1.0, 2.0, 3.0, 6.0])
    assert summary.mean == 3.0
    assert summary.error == pytest.approx((14 / 3) ** 0.5 / 2)
    assert summary.show() == "3.0 ± 1.1"
    assert summary.show(2, "+") == "+3.00 ± 1.08"


def test_a_peer_that_is_not_installed_is_named(common, monkeypatch, capsys):
    import bench_fit

    monkeypatch.setattr(bench_fit, "version", {"skorch": "1.4", "torch": "2"}.get)
    found, missing = bench_fit.find_peers("abcd")
    assert [peer.PACKAGE for peer in found] == ["torch", "skorch"]
    assert missing == ["(b) torchdistill", "(c) Keras Distiller"]
    runs = {"skkd fp32": [common.Run(1.0, 0.9)]}
    bench_fit.show("mnist", runs, missing)
    out = capsys.readouterr().out
    assert out.count("not installed: pip install -r benchmarks/requirements.txt") == 2


def one_step(prepare, task):
    trained = prepare(task, 3)()
    return dict(getattr(trained, "module_", trained).named_parameters())


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
# One step is compared, whatever is taught.
@pytest.mark.filterwarnings(r"ignore:\[random-head\]:skkd.TeacherWarning")
def test_all_sides_take_the_same_step(common, optimizer):
    from _peers import Task, skkd_net, skorch_net, tutorial

    generator = torch.Generator().manual_seed(0)
    X = torch.randint(256, (40, 1, 6, 6), dtype=torch.uint8, generator=generator)
    y = torch.arange(40) % 10
    teacher = MLP(10, (1, 6, 6), hidden=(300,)).eval().requires_grad_(False)
    new_student = partial(MLP, 10, (1, 6, 6), hidden=(8,))
    task = Task(X, y, teacher, new_student, 1, 40, alpha=0.3, optimizer=optimizer)
    expected = one_step(tutorial.prepare, task)
    start = dict(task.student(3).named_parameters())
    assert not torch.equal(start["head.weight"], expected["head.weight"])
    ours = (skkd_net.prepare, skkd_net.prepare_taught)
    for prepare in (skorch_net.prepare, *(partial(p, precision="fp32") for p in ours)):
        found = one_step(prepare, task)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


def test_the_requirements_are_the_peers(common):
    import bench_fit

    files = [BENCHMARKS / "_peers" / f"{name}.py" for name in bench_fit.PEERS.values()]
    packages = {re.search(r'^PACKAGE = "(.+)"', f.read_text(), re.M)[1] for f in files}
    lines = (BENCHMARKS / "requirements.txt").read_text().splitlines()
    assert {line for line in lines if line[0] != "#"} == packages - {"torch", "skorch"}


def test_pairs_take_turns(common, capsys):
    order = []

    def side(name, number):
        order.append(name)
        return common.Run(1.0 + number, 0.5)

    sides = {name: partial(side, name) for name in "ab"}
    runs = common.paired(sides, 2, isolate=False)
    assert order == ["a", "b", "b", "a"]
    assert [run.seconds for run in runs["a"]] == [1.0, 2.0]


def test_ratios_are_those_of_a_round(common):
    slow = [common.Run(seconds, 0.0) for seconds in (10.0, 40.0, 30.0)]
    fast = [common.Run(seconds, 0.0) for seconds in (1.0, 2.0, 10.0)]
    assert common.ratios(slow, fast) == (10.0, 3.0, 20.0)
    with pytest.raises(ValueError, match="zip"):
        common.ratios(slow, fast[:2])


def test_bounds_are_all_printed_before_it_fails(common, capsys):
    bounds = common.Bounds()
    bounds.at_least("fast", 9.99, 10)
    bounds.at_most("close", 1.1, 1.1)
    bounds.equal("rows", 7, 8)
    with pytest.raises(SystemExit, match="2 of 3 claims do not hold"):
        bounds.finish()
    assert [line[:4] for line in capsys.readouterr().out.splitlines()] == [
        "FAIL",
        "ok  ",
        "FAIL",
    ]


def test_tables_are_markdown(common):
    assert common.table(["a", "bc"], [["def", ""]]).splitlines() == [
        "| a   | bc |",
        "| --- | -- |",
        "| def |    |",
    ]


def test_cifar_is_read_by_class(common, tmp_path):
    with tarfile.open(tmp_path / "cifar10_jpeg.tar.xz", "w:xz") as tar:
        for part in ("train", "test"):
            for code, name in enumerate("jihgfedcba"):  # of class 9 to class 0
                for number in range(3):
                    pixels = np.full((32, 32, 3), 20 * (9 - code), np.uint8)
                    file = io.BytesIO()
                    Image.fromarray(pixels).save(file, "jpeg")
                    member = tarfile.TarInfo(f"{part}/{name}/000{number}.jpg")
                    member.size = file.tell()
                    file.seek(0)
                    tar.addfile(member, file)
    data = common.load_cifar10(tmp_path, 20, 10)
    assert data.X.shape == (20, 3, 32, 32) and data.X.dtype == torch.uint8
    assert data.X_test.shape == (10, 3, 32, 32) and data.y_test.dtype == torch.int64
    assert (data.X[:, 0, 0, 0] == 20 * data.y).all()


@pytest.mark.slow
def test_bench_packed_runs(real_data):
    out = quickly("bench_packed.py", real_data)
    assert "| PackedSearchCV" in out and "Bounds are not enforced" in out


@pytest.mark.slow
def test_bench_tables_runs_and_goes_on(real_data, tmp_path):
    results = ("--results", tmp_path / "figures.jsonl")
    out = quickly("bench_tables.py", real_data, *results)
    assert "| breast cancer | 150" in out
    assert "  1/" not in quickly("bench_tables.py", real_data, *results)


def test_bench_scale_runs(common, run, monkeypatch):
    import bench_scale

    assert [*bench_scale.PARTS] == re.findall(r"^(\w+)$", bench_scale.__doc__, re.M)
    for part in bench_scale.PARTS:
        out = run(bench_scale, "--quick", "--only", part)
        assert "\n## " in out and "FAIL" not in out
