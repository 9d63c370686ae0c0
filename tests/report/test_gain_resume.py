"""gain(resume=): a file of finished fits."""

import json

import numpy as np
import pytest
import torch
from gain_students import CV, NAMES, TEACHER, X, outcome, student, y
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skkd import DistilledClassifier
from skkd._packed import together
from skkd.report import gain
from skkd.report._gain import _jobs
from skkd.report._gain._resume import Journal


def interrupted(monkeypatch, after):
    """Press CTRL-C before the training of another fit, or of a stack of fits."""
    left = [after]

    def stops(train):
        def stopped(*args, **kwargs):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return train(*args, **kwargs)

        return stopped

    monkeypatch.setattr(DistilledClassifier, "fit", stops(DistilledClassifier.fit))
    monkeypatch.setattr(together, "train", stops(together.train))


@pytest.mark.parametrize("cut", [0, 7])
@pytest.mark.parametrize(
    ("params", "n_trained", "n_done"),
    [
        ({"callbacks": [("own", Callback())]}, 3, 3),
        ({}, 1, 4),  # in stacks of four
    ],
)
def test_what_was_interrupted_goes_on(
    monkeypatch, tmp_path, fits, params, n_trained, n_done, cut
):
    path = tmp_path / "new folder" / "fits.jsonl"
    run = {"seeds": 2, "cv": CV}
    net = student().set_params(**params)
    monkeypatch.setattr(_jobs, "_MAX_FITS", 4)
    whole = gain(net, X, NAMES, **run)
    with monkeypatch.context() as patch:
        interrupted(patch, n_trained)
        with pytest.raises(KeyboardInterrupt):
            gain(net, X, NAMES, **run, resume=path)
    if cut:  # killed while it wrote
        path.write_bytes(path.read_bytes()[:-cut])
    fits.clear()
    resumed = gain(net, X, NAMES, **run, resume=path)
    assert len(fits) == 8 - n_done + (cut > 0)
    assert outcome(resumed) == outcome(whole)
    fits.clear()
    again = gain(net, X, NAMES, **run, resume=str(path))
    assert not fits and outcome(again) == outcome(whole)
    assert again.interval == whole.interval
    assert len(path.read_text().splitlines()) == 1 + 8


def test_seeds_can_be_added_and_left_out(tmp_path, fits):
    path = tmp_path / "fits.jsonl"
    gain(student(), X, y, seeds=1, cv=2, resume=path)
    more = gain(student(), X, y, seeds=2, cv=2, resume=path)
    assert len(fits) == 8
    assert outcome(more) == outcome(gain(student(), X, y, seeds=2, cv=2))
    fits.clear()
    assert gain(student(), X, y, seeds=[1], cv=2, resume=path).plain.shape == (1, 2)
    assert not fits


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"estimator": student(alpha=0.9)}, "alpha of the estimator"),
        ({"estimator": student(teacher=LogisticRegression(C=2))}, "teacher of the"),
        ({"estimator": make_pipeline(student())}, "type of the estimator"),
        ({"X": X + 1}, "X of the data"),
        ({"y": 2 - y}, "y of the data"),
        ({"cv": StratifiedKFold(2, shuffle=True, random_state=1)}, "other folds"),
        ({"cv": [next(CV.split(X, y))][:1]}, "other folds"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, fits, change, differs):
    path = tmp_path / "fits.jsonl"
    given = {"estimator": student(), "X": X, "y": y, "cv": CV, "seeds": 1}
    gain(**given, resume=path)
    before = path.read_bytes()
    fits.clear()
    with pytest.raises(ValueError, match=differs):
        gain(**{**given, **change}, resume=path)
    assert not fits and path.read_bytes() == before


def test_the_seed_of_a_step_is_a_parameter_and_that_of_a_student_is_not(tmp_path):
    path, run = tmp_path / "fits.jsonl", {"seeds": 1, "cv": 2}

    def pipeline(step, net):
        reduce = PCA(1, svd_solver="randomized", random_state=step)
        return make_pipeline(reduce, student(random_state=net))

    gain(pipeline(0, 0), X, y, **run, resume=path)
    gain(pipeline(0, 1), X, y, **run, resume=path)
    with pytest.raises(ValueError, match="something else: pca__random_state"):
        gain(pipeline(1, 0), X, y, **run, resume=path)


def test_another_fitted_teacher_is_another(tmp_path):
    path, nets = tmp_path / "fits.jsonl", []
    for n in (150, 149):
        teacher = LogisticRegression(max_iter=500).fit(X[:n], y[:n])
        nets.append(student(teacher=teacher, teacher_cv="prefit"))
    gain(nets[0], X, y, seeds=1, cv=2, resume=path)
    with pytest.raises(ValueError, match="something else: teacher of the estimator"):
        gain(nets[1], X, y, seeds=1, cv=2, resume=path)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "no line", '{"a": 1}\n', "[1]\n"])
def test_files_of_others_are_left_alone(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="not written by gain"):
        gain(student(), X, y, resume=path)
    assert path.read_text() == text


def test_a_damaged_line_is_reported(tmp_path):
    path = tmp_path / "fits.jsonl"
    gain(student(), X, y, seeds=1, cv=2, resume=path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:-9], *lines[3:]]) + "\n")
    with pytest.raises(ValueError, match="line 3 is not what gain wrote"):
        gain(student(), X, y, seeds=1, cv=2, resume=path)


def test_a_changed_byte_is_reported_wherever_it_is(tmp_path):
    def records():
        with Journal(path, {"data": {"X": "0a"}}).opened() as found:
            return found

    path = tmp_path / "fits.jsonl"
    assert records() == []
    for i in range(3):
        Journal(path, {}).add({"key": [i, "0f"], "scores": {"accuracy": i / 7}})
    content, before = path.read_bytes(), records()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content) - 1, 150, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(7)
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="resume="):
            records()
    path.write_bytes(content)
    assert records() == before


def test_one_process_writes_at_a_time(tmp_path, monkeypatch):
    path = tmp_path / "fits.jsonl"
    train = together.train

    def train_and_try(members):
        with pytest.raises(ValueError, match="another process is writing"):
            gain(student(), X, y, resume=path)
        train(members)

    monkeypatch.setattr(together, "train", train_and_try)
    gain(student(), X, y, seeds=1, cv=2, resume=path)


def test_a_lambda_has_no_content_that_changes_with_the_process(tmp_path):
    def build(n_classes, input_shape):
        return torch.nn.Linear(input_shape[0], n_classes)

    path = tmp_path / "fits.jsonl"
    net = DistilledClassifier(build, teacher=TEACHER, teacher_cv=None, max_epochs=1)
    gain(net, X, y, seeds=1, cv=2, resume=path)
    assert len(path.read_text().splitlines()) == 5
    header = json.loads(path.read_text().splitlines()[0])
    net.set_params(module=lambda n_classes: torch.nn.Linear(4, n_classes))
    with pytest.raises(ValueError, match="something else: module of the estimator"):
        gain(net, X, y, seeds=1, cv=2, resume=path)
    assert torch.__version__.startswith(header["versions"]["torch"])


def test_progress_is_shown_where_it_is_asked_for(capsys):
    gain(student(), X, y, seeds=1, cv=2)
    assert capsys.readouterr() == ("", "")
    gain(student(), X, y, seeds=1, cv=2, verbose=1)
    out, err = capsys.readouterr()
    assert not out and "4/4" in err


def test_groups_of_the_folds_of_the_teacher_belong_to_a_file(tmp_path):
    path, cv = tmp_path / "fits.jsonl", [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    groups = np.where(np.arange(150) % 2, 1000, 0) + np.arange(150)
    net = student(teacher_cv=2)
    gain(net, X, y, seeds=1, cv=cv, groups=groups, resume=path)
    others = np.where(np.arange(150) % 2, 1000, np.arange(150) // 4)
    with pytest.raises(ValueError, match="something else: groups of the data"):
        gain(net, X, y, seeds=1, cv=cv, groups=others, resume=path)
