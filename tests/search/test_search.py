"""Cross-validation that prunes: which rows, which scores, which callbacks."""

import subprocess
import sys

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier
from skkd.callbacks import Anneal
from skkd.search import _pruned, pruned_cross_val_score, suggest_distillation

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture
def student():
    teacher = LogisticRegression(max_iter=500).fit(X, NAMES)
    return DistilledClassifier(teacher=teacher, max_epochs=4, lr=0.02, random_state=0)


def test_suggestions_are_parameters_of_the_estimator():
    trial = optuna.create_study().ask()
    params = suggest_distillation(trial, temperature=(2, 3), alpha=(0.1, 0.2))
    assert set(params) == {"temperature", "alpha"}
    assert 2 <= params["temperature"] <= 3 and 0.1 <= params["alpha"] <= 0.2
    DistilledClassifier().set_params(**params)


def test_suggestions_take_a_prefix():
    trial = optuna.trial.FixedTrial({"temperature": 2.0, "alpha": 0.5})
    assert suggest_distillation(trial, prefix="net__") == {
        "net__temperature": 2.0,
        "net__alpha": 0.5,
    }


def test_scores_are_those_of_cross_val_score(student):
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    trial = optuna.create_study(direction="maximize").ask()
    found = pruned_cross_val_score(student, X, NAMES, trial, cv=cv)
    assert np.array_equal(found, cross_val_score(student, X, NAMES, cv=cv))


def test_the_first_fold_reports_epochs_and_the_others_the_mean_so_far(student):
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    scores = pruned_cross_val_score(student, X, NAMES, trial, cv=3)
    study.tell(trial, scores.mean())
    reported = study.trials[0].intermediate_values
    assert list(reported) == [*range(4), 4, 5]
    expected = np.cumsum(scores) / [1, 2, 3]
    np.testing.assert_array_equal([reported[step] for step in (3, 4, 5)], expected)


def test_an_unpromising_trial_is_given_up(student):
    pruner = optuna.pruners.ThresholdPruner(lower=1.1)
    trial = optuna.create_study(direction="maximize", pruner=pruner).ask()
    with pytest.raises(optuna.TrialPruned, match="epoch 0"):
        pruned_cross_val_score(student, X, NAMES, trial)


@pytest.mark.parametrize(("last", "pruned"), [(0.4, True), (0.8, False)])
def test_luck_in_the_first_fold_does_not_save_a_trial(
    student, monkeypatch, last, pruned
):
    """Its best value so far is that of the first fold, which is no mean of two."""

    def run(trial, *scores):
        values = iter(scores)  # two epochs and the end of the first fold, the second
        monkeypatch.setattr(_pruned, "_score_of", lambda *args: next(values))
        student.set_params(max_epochs=2)
        return pruned_cross_val_score(student, X, NAMES, trial, cv=2).mean()

    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    good = study.ask()
    study.tell(good, run(good, 0.6, 0.6, 0.6, 0.9))
    if pruned:
        with pytest.raises(optuna.TrialPruned, match="pruned after fold 1"):
            run(study.ask(), 0.8, 0.8, 0.8, last)
    else:
        assert run(study.ask(), 0.8, 0.8, 0.8, last) == 0.8


def test_a_trial_without_a_study_is_not_pruned(student):
    trial = optuna.trial.FixedTrial({})
    assert len(pruned_cross_val_score(student, X, NAMES, trial)) == 3


def test_the_estimator_is_left_alone(student):
    student.set_params(train_split=ValidSplit(2), callbacks=[])
    before = student.get_params(deep=False)
    pruned_cross_val_score(student, X, NAMES, optuna.create_study().ask())
    assert student.get_params(deep=False) == before
    assert not student.initialized_


def test_a_loss_can_be_monitored(student):
    trial = optuna.create_study().ask()
    losses = pruned_cross_val_score(student, X, NAMES, trial, monitor="valid_loss")
    assert (losses > 0).all()


@pytest.mark.slow
def test_optuna_alone_is_needed():
    code = (
        "import sys; sys.modules['optuna_integration'] = None\n"
        "import skkd; assert 'optuna' not in sys.modules\n"
        "import skkd.search; assert 'optuna' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- Which samples are trained on and held out ----------------------------------------

NUMBERED = X + 1e-6 * np.arange(len(X))[:, None]  # no two alike
ROWS = {row.tobytes(): i for i, row in enumerate(NUMBERED)}


@pytest.fixture
def folds_of(monkeypatch):
    """Cross-validate on NUMBERED; return the rows of X of each fold, and the scores."""
    seen, fit = [], DistilledClassifier.fit

    def rows(values):
        return [ROWS[row.tobytes()] for row in np.asarray(values)]

    def spy(self, X, y, **kwargs):
        seen.append((rows(X), rows(self.train_split(None)[1].X)))
        return fit(self, X, y, **kwargs)

    def folds_of(y, student=None, **kwargs):
        teacher = LogisticRegression(max_iter=500).fit(X, NAMES)
        params = {"max_epochs": 1, "random_state": 0}
        student = student or DistilledClassifier(teacher=teacher, **params)
        trial = optuna.create_study(direction="maximize").ask()
        data = kwargs.pop("X", NUMBERED)
        with monkeypatch.context() as patched:
            patched.setattr(DistilledClassifier, "fit", spy)
            scores = pruned_cross_val_score(student, data, y, trial, **kwargs)
        return seen, scores

    return folds_of


def partly_labelled(marker, step=3):
    """Return NAMES with a marker in place of two labels in three."""
    labels = NAMES.astype(object)
    labels[np.arange(len(labels)) % step != 0] = marker
    return labels if not isinstance(marker, str) else labels.astype(str)


def semi_supervised(marker):
    teacher = LogisticRegression(max_iter=500).fit(X, NAMES)
    return DistilledClassifier(
        teacher=teacher, max_epochs=2, random_state=0, unlabeled=marker, alpha=0.9
    )


MARKERS = ["nobody knows", -1, None, float("nan")]


@pytest.mark.parametrize("as_", [np.asarray, list], ids=["array", "list"])
def test_an_iterable_cv_names_rows_of_x(folds_of, as_):
    labels = partly_labelled("?")
    known = np.flatnonzero(labels != "?")
    train, test = known[::2], known[1::2]
    folds, _ = folds_of(labels, semi_supervised("?"), cv=[(as_(train), as_(test))])
    assert folds == [(train.tolist(), test.tolist())]


def test_a_splitter_sees_all_rows_and_groups(folds_of):
    labels, groups = partly_labelled("?"), np.arange(150) // 5
    student = semi_supervised("?")
    folds, _ = folds_of(labels, student, cv=GroupKFold(3), groups=groups)
    expected = GroupKFold(3).split(X, labels, groups)
    for (train, test), (train_rows, test_rows) in zip(expected, folds, strict=True):
        assert train_rows == train.tolist()
        assert test_rows == [i for i in test if labels[i] != "?"]
        # A sample without a label may be a copy of one that is held out.
        assert not set(groups[train_rows]) & set(groups[test_rows])


@pytest.mark.parametrize("marker", MARKERS, ids=repr)
def test_folds_are_stratified_with_any_mark_of_unlabelled_samples(folds_of, marker):
    labels = partly_labelled(marker)
    unlabeled = marker if marker in MARKERS[:2] else float("nan")
    folds, _ = folds_of(labels, semi_supervised(unlabeled), cv=3)
    codes = np.where(np.arange(150) % 3 == 0, y, -1)
    expected = StratifiedKFold(3).split(X, codes)
    for (train, test), (train_rows, test_rows) in zip(expected, folds, strict=True):
        assert train_rows == train.tolist()
        assert test_rows == [i for i in test if codes[i] >= 0]


def test_scores_of_partly_labelled_data_are_those_of_cross_val_score():
    labels = partly_labelled("?")
    student = semi_supervised("?").set_params(max_epochs=10, lr=0.02)
    trial = optuna.create_study(direction="maximize").ask()
    found = pruned_cross_val_score(student, X, labels, trial, cv=3)
    assert np.array_equal(found, cross_val_score(student, X, labels, cv=3))
    assert len(set(found)) > 1


def test_a_fold_without_a_labelled_sample_is_refused(folds_of):
    labels = partly_labelled("?")
    folds = [(np.arange(100), np.array([100, 101]))]
    with pytest.raises(ValueError, match="no labelled sample in fold 0"):
        folds_of(labels, semi_supervised("?"), cv=folds)


def test_data_frames_keep_their_columns():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    teacher = LogisticRegression(max_iter=500).fit(frame, NAMES)
    student = DistilledClassifier(teacher=teacher, max_epochs=2, random_state=0)
    trial = optuna.create_study(direction="maximize").ask()
    series = pd.Series(NAMES, index=np.arange(150)[::-1])  # positions, not names
    found = pruned_cross_val_score(student, frame, series, trial)
    assert np.array_equal(found, cross_val_score(student, frame, NAMES, cv=3))


# --- Callbacks of the estimator -------------------------------------------------------


@pytest.mark.parametrize("verbose", [0, 1])
def test_disabled_callbacks_print_nothing_and_scores_are_the_same(
    student, capsys, verbose
):
    study = optuna.create_study()
    expected = pruned_cross_val_score(student, X, NAMES, study.ask())
    student.set_params(callbacks="disable", verbose=verbose)
    found = pruned_cross_val_score(student, X, NAMES, study.ask())
    assert np.array_equal(found, expected)
    assert student.callbacks == "disable"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("callbacks", [None, [], [("anneal", Anneal("alpha", 0, 0.9))]])
def test_callbacks_with_and_without_names_are_kept(student, callbacks):
    student.set_params(callbacks=callbacks)
    if callbacks:
        student.set_params(callbacks__anneal__end=0.5)
    trial = optuna.create_study().ask()
    found = pruned_cross_val_score(student, X, NAMES, trial, monitor="valid_loss")
    scorer = "neg_log_loss"
    expected = -cross_val_score(student, X, NAMES, scoring=scorer, cv=3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_callbacks_that_are_no_list_are_refused(student):
    student.set_params(callbacks=("anneal", Anneal("alpha", 0, 0.9)))
    with pytest.raises(TypeError, match="expected a list of callbacks"):
        pruned_cross_val_score(student, X, NAMES, optuna.create_study().ask())


def test_an_unknown_monitor_is_refused_with_those_that_are_recorded(student):
    with pytest.raises(ValueError, match=r"'accuracy' is not in .*valid_acc, valid_b"):
        trial = optuna.create_study().ask()
        pruned_cross_val_score(student, X, NAMES, trial, monitor="accuracy")
