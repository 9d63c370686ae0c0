"""What a search can vary, and values that are refused."""

import numpy as np
import pytest
from iris_helpers import X, X_train, classifier, never_built, quick, y, y_train
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.naive_bayes import GaussianNB

from skkd.losses import KD, DistillationLoss


class ScaledKD(DistillationLoss):
    """Hinton's loss, times beta; leaves beta in a list for the test."""

    seen = []

    def __init__(self, beta=1.0):
        self.beta = beta

    def __call__(self, student_logits, teacher_logits, y, temperature):
        ScaledKD.seen.append((self.beta, temperature))
        return self.beta * KD()(student_logits, teacher_logits, y, temperature)


@pytest.mark.parametrize(
    "grid",
    [
        {"temperature": [1, 2.5, np.float32(4), np.int64(8)]},
        {"alpha": [0, 0.5, 1, np.float64(0.25)]},
        {"module__hidden": [(), 4, (4, 4)]},
        {"optimizer__weight_decay": [0, 0.1]},
        {"lr": [0.01, 0.1], "batch_size": [16, -1]},
        {"distillation": ["kd", "hard", "mse", KD(), ScaledKD]},
        {"distillation": [ScaledKD()], "distillation__beta": [0.5, 2]},
        {"teacher_cv": [None, 2], "teacher": [GaussianNB(), LogisticRegression()]},
        {"class_weight": [None, "balanced", {0: 1, 1: 2, 2: 3}]},
    ],
    ids=lambda grid: "-".join(grid),
)
def test_every_parameter_can_be_varied_in_a_search(teacher, grid):
    search = GridSearchCV(
        quick(teacher=teacher), grid, cv=2, error_score="raise", refit=True
    ).fit(X_train, y_train)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    for name, value in search.best_params_.items():
        assert name in search.best_estimator_.get_params()
        assert search.best_estimator_.get_params()[name] is value or not isinstance(
            value, float
        )


def test_searched_parameters_of_the_distillation_loss_reach_it(teacher):
    ScaledKD.seen.clear()
    given = ScaledKD()
    search = GridSearchCV(
        quick(teacher=teacher, distillation=given, batch_size=-1),
        {"distillation__beta": [0.5, 2], "temperature": [1, 3]},
        cv=2,
        refit=False,
        error_score="raise",
    ).fit(X_train, y_train)
    assert len(search.cv_results_["params"]) == 4
    assert sorted(set(ScaledKD.seen)) == [(0.5, 1), (0.5, 3), (2, 1), (2, 3)]
    assert len(ScaledKD.seen) == 8
    assert given.beta == 1.0


BAD = [("temperature", value) for value in (0, -1, np.nan, np.inf, "a", None, True)]
BAD += [("alpha", value) for value in (-0.1, 1.1, np.nan, "a", None)]
BAD += [("distillation", value) for value in ("kb", "")]
BAD += [("distillation__gamma", 1), ("unheard_of", 1), ("module__unheard_of", 1)]


@pytest.mark.parametrize(("name", "value"), BAD)
@pytest.mark.parametrize("with_teacher", [False, True])
def test_invalid_parameters_raise_before_the_student_is_built(
    teacher, name, value, with_teacher
):
    params = {"teacher": teacher if with_teacher else None, name: value}
    if "unheard_of" not in name:  # those are told when the student is being built
        params |= {"module": never_built, "module__hidden": ()}
    est = classifier(**params)  # the constructor itself checks nothing
    with pytest.raises((ValueError, TypeError)) as caught:
        est.fit(X_train, y_train)
    assert name.split("__")[-1] in str(caught.value)
    assert "built" not in str(caught.value) or "cannot be built" in str(caught.value)


@pytest.mark.parametrize("value", [5, object(), lambda a: a])
def test_invalid_distillation_raises_before_the_student_is_built(teacher, value):
    with pytest.raises(TypeError, match="distillation"):
        quick(teacher=teacher, distillation=value, module=never_built).fit(X, y)
