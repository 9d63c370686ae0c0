"""teacher_logits and sample_weight, sliced per fold."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from iris_helpers import X_test, X_train, classifier, quick, y_train
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd.losses import DistillationLoss

pytestmark = [
    # The logits are numbers of rows: they decide for the same class in all of them.
    pytest.mark.filterwarnings(r"ignore:\[one-sided\]:skkd.TeacherWarning"),
    # So is X, and a fold that is tested has numbers of its own.
    pytest.mark.filterwarnings("ignore:.*outside of the:skkd.DistillationWarning"),
]

# Logits that tell their row: column 0 holds its number, and so does X.
INDEX = np.column_stack([np.arange(60), np.zeros(60)])


LABELS = np.tile([0, 1, 2], 20)
ROW_LOGITS = np.column_stack([np.arange(60), LABELS, np.zeros(60)]).astype(float)


class RowSpy(DistillationLoss):
    """Writes down the rows of each batch, by the teacher's logits."""

    batches = []

    def __call__(self, student_logits, teacher_logits, y, temperature):
        rows = teacher_logits[:, 0].long()
        # The labels that came with the logits are those of the same rows.
        assert_array_equal(y.numpy(), LABELS[rows.numpy()])
        RowSpy.batches.append(sorted(rows.tolist()))
        return student_logits.sum(dim=1)


@pytest.fixture
def batches():
    RowSpy.batches.clear()
    return RowSpy.batches


def spied(**params):
    return quick(distillation=RowSpy(), batch_size=-1, **params)


def routed(estimator, routing):
    """Ask for what fit shall be given, where scikit-learn wants to be asked."""
    if routing:
        estimator.set_fit_request(teacher_logits=True, sample_weight=True)
        estimator.set_score_request(sample_weight=True)
    return estimator


def splits():
    return list(StratifiedKFold(3).split(INDEX, LABELS))


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", [np.asarray, list, pd.DataFrame, torch.tensor])
# Each row is told by a logit of its own size.
@pytest.mark.filterwarnings(r"ignore:\[saturated\]:skkd.TeacherWarning")
def test_logits_are_sliced_per_fold(routing, in_pipeline, weighted, container, batches):
    if routing and in_pipeline and weighted and not hasattr(sklearn, "callback"):
        pytest.skip("scikit-learn before 1.9 demands a score request of the Pipeline")
    with sklearn.config_context(enable_metadata_routing=routing):
        model, prefix = routed(spied(), routing), ""
        if in_pipeline:
            scaler = StandardScaler()
            if routing:
                scaler.set_fit_request(sample_weight=False)
            else:
                prefix = "distilledclassifier__"
            model = make_pipeline(scaler, model)
        params = {f"{prefix}teacher_logits": container(ROW_LOGITS)}
        if weighted:
            params[f"{prefix}sample_weight"] = np.linspace(1, 2, 60)
        name = "distilledclassifier__temperature" if in_pipeline else "temperature"
        grid = GridSearchCV(model, {name: [1, 2]}, cv=splits(), error_score="raise")
        grid.fit(INDEX, LABELS, **params)
    train = [sorted(train.tolist()) for train, _ in splits()]
    assert batches == [*train, *train, list(range(60))]


def test_logits_that_were_not_requested_are_refused_by_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        grid = GridSearchCV(spied(), {"temperature": [1]}, cv=2)
        with pytest.raises(
            sklearn.exceptions.UnsetMetadataPassedError, match="teacher_logits"
        ):
            grid.fit(INDEX, LABELS, teacher_logits=ROW_LOGITS)


def test_logits_take_the_place_of_the_teacher(teacher):
    logits = teacher.predict_log_proba(X_train)
    asked = classifier(teacher=teacher).fit(X_train, y_train)
    given = classifier().fit(X_train, y_train, teacher_logits=logits)
    assert_array_equal(asked.predict_proba(X_test), given.predict_proba(X_test))
    # Not even an unfitted teacher is asked, then.
    other = classifier(teacher=LogisticRegression())
    other.fit(X_train, y_train, teacher_logits=logits)
    assert_array_equal(other.predict_proba(X_test), given.predict_proba(X_test))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_logits_of_any_precision(dtype):
    est = quick(alpha=1).fit(INDEX, LABELS, teacher_logits=ROW_LOGITS.astype(dtype))
    expected = quick(alpha=1).fit(INDEX, LABELS, teacher_logits=ROW_LOGITS)
    assert_array_equal(est.predict_proba(INDEX), expected.predict_proba(INDEX))


def test_logits_may_be_a_tensor_that_requires_grad():
    logits = torch.tensor(ROW_LOGITS, requires_grad=True)
    est = quick().fit(INDEX, LABELS, teacher_logits=logits)
    expected = quick().fit(INDEX, LABELS, teacher_logits=ROW_LOGITS)
    assert_array_equal(est.predict_proba(INDEX), expected.predict_proba(INDEX))
    assert logits.grad is None


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (ROW_LOGITS[:-1], r"shape \(59, 3\), expected \(60, 3\)"),
        (ROW_LOGITS[:, :2], r"shape \(60, 2\), expected \(60, 3\)"),
        (ROW_LOGITS[:, 0], r"shape \(60,\), expected \(60, 3\)"),
        (ROW_LOGITS[None], r"shape \(1, 60, 3\), expected"),
        (np.where(ROW_LOGITS == 7, np.nan, ROW_LOGITS), r"not finite in 1 .* row 7"),
        (np.where(ROW_LOGITS == 7, -np.inf, ROW_LOGITS), r"np\.log\(np\.clip"),
        (np.where(ROW_LOGITS == 7, np.inf, ROW_LOGITS), "not finite"),
        (ROW_LOGITS.astype(str), "dtype"),
        (ROW_LOGITS > 0, "dtype bool"),
        (ROW_LOGITS * 1e300, "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_bad_teacher_logits_are_refused(logits, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(INDEX, LABELS, teacher_logits=logits)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(59), "shape"),
        (np.full(60, np.nan), "NaN"),
        (-np.ones(60), "[Nn]egative"),
        (np.zeros(60), "zero"),
        (np.ones((60, 2)), "1D|dim"),
    ],
)
def test_bad_sample_weight_is_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(INDEX, LABELS, sample_weight=weight)
