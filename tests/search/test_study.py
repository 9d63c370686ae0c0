"""A study by one process: trials, parameters, first trials, refusals."""

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState
from PIL import Image
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GroupKFold,
    StratifiedGroupKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from study_cases import SPACE, TEACHER, X, Y, student, study

from skkd import DistilledClassifier, ImageReader
from skkd.losses import DKD
from skkd.search import suggest_distillation


def params_of(found):
    return [trial.params for trial in found.study_.trials]


def test_the_best_trial_is_the_cross_validation_of_its_parameters():
    found = study(cv=2).optimize(5)
    assert len(found.study_.trials) == 5
    best = student(**found.best_params_)
    assert found.best_score_ == cross_val_score(best, X, Y, cv=2).mean()
    assert found.best_score_ == max(
        t.value for t in found.study_.trials if t.state == TrialState.COMPLETE
    )
    expected = best.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(found.best_estimator_.predict_proba(X), expected)


def test_the_estimator_is_left_alone():
    estimator = student()
    before = estimator.get_params(deep=False)
    study(estimator=estimator, cv=2).optimize(2)
    assert estimator.get_params(deep=False) == before
    assert not estimator.initialized_


def test_trials_are_counted_in_all_and_a_seed_repeats_them():
    in_two = study(cv=2).optimize(3, refit=False).optimize(5, refit=False)
    at_once = study(cv=2).optimize(5, refit=False)
    assert len(in_two.study_.trials) == 5
    assert params_of(in_two) == params_of(at_once)
    assert len({trial["lr"] for trial in params_of(at_once)}) == 5
    other = study(cv=2, random_state=1).optimize(1, refit=False)
    assert params_of(other)[0] != params_of(at_once)[0]


def test_no_trial_is_begun_after_the_time_is_over():
    found = study(cv=2).optimize(10, timeout=0)
    assert found.study_.trials == []
    with pytest.raises(NotFittedError, match="no complete trial yet"):
        _ = found.best_params_
    assert not hasattr(found, "best_estimator_")


def test_a_function_may_choose_the_parameters():
    def space(trial):
        out = suggest_distillation(trial, temperature=(2, 3))
        return {**out, "lr": 0.01 * trial.suggest_int("hundredths", 1, 5)}

    found = study(space=space, cv=2).optimize(2)
    assert set(found.best_params_) == {"temperature", "alpha", "lr"}
    assert 2 <= found.best_estimator_.temperature <= 3
    assert found.best_estimator_.lr == found.best_params_["lr"]


def test_a_loss_is_minimised_and_a_score_maximised():
    found = study(cv=2, monitor="valid_loss").optimize(4, refit=False)
    values = [t.value for t in found.study_.get_trials(states=[TrialState.COMPLETE])]
    assert found.best_score_ == min(values) < max(values)
    assert study(cv=2).open().direction == optuna.study.StudyDirection.MAXIMIZE


def test_groups_are_kept_together():
    groups = np.arange(150) // 5
    for cv, splitter in ((2, StratifiedGroupKFold(2)), (GroupKFold(2), GroupKFold(2))):
        found = study(data=(X, Y, groups), cv=cv).optimize(1, refit=False)
        best = student(**found.best_params_)
        scores = cross_val_score(best, X, Y, cv=splitter, groups=groups)
        assert found.best_score_ == scores.mean()


# --- Data -----------------------------------------------------------------------------


def test_data_come_from_a_function_or_a_file(tmp_path):
    expected = study(cv=2).optimize(1, refit=False).best_score_
    by_function = study(data=lambda: (X, Y), cv=2)
    np.savez(tmp_path / "irises.npz", X=X, y=Y)
    by_file = study(data=tmp_path / "irises.npz", cv=2)
    for found in (by_function, by_file):
        assert found.optimize(1, refit=False).best_score_ == expected


def test_data_come_from_a_folder_of_images(tmp_path):
    for name, level in {"bright": 200, "dark": 60}.items():
        (tmp_path / name).mkdir()
        for i in range(6):
            pixels = np.random.normal(level, 20, (8, 8)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    tiny = DistilledClassifier(max_epochs=1, random_state=0, module__width=2)
    params = {"estimator": tiny, "space": {"lr": FloatDistribution(1e-3, 1e-2)}}
    found = study(data=tmp_path, reader=ImageReader(8), cv=2, **params).optimize(1)
    paths = sorted(map(str, tmp_path.rglob("*.png")))
    assert set(found.best_estimator_.predict(paths)) <= {"bright", "dark"}
    with pytest.raises(ValueError, match="expected reader=ImageReader"):
        study(data=tmp_path, **params).open()


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ("nowhere/x.npz", FileNotFoundError, "this machine has no file .*nowhere/x"),
        (X, TypeError, r"data is a ndarray: expected \(X, y\)"),
        ((X,), TypeError, "expected"),
    ],
    ids=["file", "array", "tuple"],
)
def test_other_data_are_refused(data, error, says):
    with pytest.raises(error, match=says):
        study(data=data).open()


def test_files_that_hold_no_samples_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    with pytest.raises(ValueError, match=r"has no array 'X': expected X and y"):
        study(data=tmp_path / "a.npz").open()
    np.savez(tmp_path / "b.npz", X=X, y=Y.astype(object))
    with pytest.raises(ValueError, match=r"cannot be read as an \.npz file"):
        study(data=tmp_path / "b.npz").open()
    (tmp_path / "c.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"cannot be read as an \.npz file"):
        study(data=tmp_path / "c.npz").open()


# --- The first trials -----------------------------------------------------------------


def first_params(**params):
    opened = study(warm_starts="published", **params).open()
    return [t.system_attrs["fixed_params"] for t in opened.trials]


def test_the_first_trials_are_the_plain_student_and_the_published_settings():
    assert first_params() == [
        {"alpha": 0.0},
        {"temperature": 4.0, "alpha": 0.9},
        {"temperature": 2.0, "alpha": 0.5},
    ]
    found = study(warm_starts="published", cv=2).optimize(2, refit=False)
    assert found.study_.trials[0].params["alpha"] == 0.0
    assert found.study_.trials[1].params["temperature"] == 4.0


def test_the_first_trials_have_each_loss_of_the_space():
    space = {
        "distillation": CategoricalDistribution(["dkd", "dist", "standardized_kd"]),
        "temperature": FloatDistribution(1, 8),
        "alpha": FloatDistribution(0, 1),
    }
    assert first_params(space=space) == [
        {"alpha": 0.0},
        {"distillation": "dkd", "temperature": 4.0, "alpha": 0.5},
        {"distillation": "dist", "temperature": 1.0},
        {"distillation": "dist", "temperature": 4.0},
        # 0.1 for the labels and 9 for the teacher; before, 1 and 9.
        {"distillation": "standardized_kd", "temperature": 2.0, "alpha": 9 / 9.1},
        {"distillation": "standardized_kd", "temperature": 2.0, "alpha": 0.9},
    ]


def test_the_first_trials_are_of_the_estimators_loss_and_inside_of_the_space():
    estimator = student(distillation=DKD())
    space = {
        "distillation__beta": FloatDistribution(1, 10),
        "alpha": FloatDistribution(0.1, 1),
    }
    expected = [{"distillation__beta": 8.0, "alpha": 0.5}]
    assert first_params(estimator=estimator, space=space) == expected
    space["distillation__beta"] = IntDistribution(1, 9, step=2)  # 8 is not among them
    assert first_params(estimator=estimator, space=space) == []
    assert first_params(space={"lr": FloatDistribution(0.01, 0.1)}) == []


def test_the_first_trials_are_found_in_a_function():
    def space(trial):
        return suggest_distillation(trial, temperature=(1, 3))

    assert first_params(space=space) == [
        {"alpha": 0.0},
        {"temperature": 2.0, "alpha": 0.5},
    ]


def test_the_first_trials_may_be_ones_own():
    start = {"alpha": 0.25, "temperature": 3.0, "lr": 0.01}
    found = study(warm_starts=[start], cv=2).optimize(2, refit=False)
    assert params_of(found)[0] == start != params_of(found)[1]


# --- What is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "says"),
    [
        ({"estimator": make_pipeline(student())}, TypeError, "is a Pipeline: expected"),
        ({"space": {}}, TypeError, "space: it is empty"),
        ({"space": {"alpha": [0, 1]}}, TypeError, r"'alpha' is \[0, 1\]. Expected"),
        ({"space": 3}, TypeError, "space=3: expected a dict"),
        ({"space": lambda trial: None}, TypeError, "returned a NoneType: expected"),
        ({"space": {"alhpa": SPACE["alpha"]}}, ValueError, "alhpa"),
        ({"space": {"max_epochs": IntDistribution(1, 3)}}, ValueError, "equal epochs"),
        ({"warm_starts": "mine"}, ValueError, "warm_starts='mine': expected 'publ"),
        ({"direction": "up"}, ValueError, "direction='up': expected 'maximize'"),
        ({"heartbeat": 0}, ValueError, "heartbeat=0: expected an int of at least 1"),
        ({"storage": "a file"}, ValueError, "storage='a file': expected postgresql"),
        ({"storage": 3}, TypeError, "storage=3: expected postgresql"),
        ({"storage": "nowhere/s.log"}, FileNotFoundError, "there is no folder"),
        ({"storage": "grpc://here"}, ValueError, "expected grpc://HOST:PORT"),
    ],
    ids=lambda value: "",
)
def test_other_values_are_refused(params, error, says):
    with pytest.raises(error, match=says):
        study(**params).open()


@pytest.mark.parametrize("n_trials", [0, 1.5, "3"])
def test_other_numbers_of_trials_are_refused(n_trials):
    with pytest.raises(ValueError, match=r"n_trials=.*: expected an int of at least 1"):
        study().optimize(n_trials)


def test_an_error_of_a_fit_ends_the_study_and_not_those_to_come():
    found = study(space={"batch_size": IntDistribution(-2, 8)}, cv=2)
    found.warm_starts = [{"batch_size": -2}, {"batch_size": 8}]
    with pytest.raises(ValueError, match="batch_size"):
        found.optimize(1)
    assert found.study_.trials[0].state == TrialState.FAIL
    assert found.optimize(1, refit=False).study_.trials[1].value > 0.3


def test_what_a_study_says_of_itself(capsys):
    found = study(cv=2, name="irises")
    assert str(found) == "study 'irises' in memory: not opened"
    with pytest.raises(NotFittedError, match="was not opened"):
        _ = found.best_score_
    found.optimize(2, verbose=1, refit=False)
    begin, *trials, end = capsys.readouterr().out.splitlines()
    assert begin == "study 'irises' in memory: 0 trials finished"
    assert [line.split(":")[0] for line in trials] == ["trial 0", "trial 1"]
    best = f"best valid_acc {found.best_score_:.4f}"
    assert end == f"study 'irises' in memory: 2 trials finished, {best}"
    assert TEACHER.classes_.tolist() == [0, 1, 2]
