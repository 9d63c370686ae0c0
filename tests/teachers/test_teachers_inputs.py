"""Teachers get their inputs in every form that scikit-learn and torch know."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from skorch.helper import SliceDataset, SliceDict
from teacher_cases import (
    KINDS,
    X32,
    X,
    by_hand,
    fitted,
    linear_logits,
    log_clip,
    network,
    student,
    taught,
    y,
)
from torch import nn

from skkd.students import MLP

# What teachers say is compared to the last digit; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|one-sided|permuted-classes)\]:skkd.TeacherWarning"
)


def frame():
    return pd.DataFrame(X, columns=["a", "b", "c", "d"])


def by_columns():
    return make_pipeline(
        make_column_transformer(("passthrough", ["d", "b"])),
        LogisticRegression(max_iter=1000),
    )


def test_pipeline_that_starts_from_columns_by_name():
    teacher = by_columns().fit(frame(), y)
    expected = np.log(teacher.predict_proba(frame()))
    assert_allclose(taught(teacher, frame()), expected, rtol=1e-5)
    # In a fold, and out of fold, these still have their names.
    assert np.isfinite(cross_val_score(student(teacher), frame(), y, cv=3)).all()
    assert np.isfinite(taught(by_columns(), frame(), teacher_cv=3)).all()


def test_pipeline_that_starts_from_columns_that_the_student_does_not_see():
    teacher = by_columns().fit(frame(), y)
    expected = np.log(teacher.predict_proba(frame()))
    got = taught(teacher, X[:, :2], fit_params={"teacher_X": frame()})
    assert_allclose(got, expected, rtol=1e-5)
    scores = cross_val_score(
        student(teacher), X[:, :2], y, cv=3, params={"teacher_X": frame()}
    )
    assert np.isfinite(scores).all()


def rows_of_paths(paths):
    return X[[int(str(path).removesuffix(".png")) for path in paths]]


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_teacher_from_image_paths_beside_the_images(container):
    paths = [f"{i}.png" for i in range(len(X))]
    teacher = make_pipeline(FunctionTransformer(rows_of_paths), GaussianNB())
    teacher.fit(paths, y)
    images = np.random.default_rng(0).integers(0, 256, (150, 1, 4, 4), dtype=np.uint8)
    beside = {"teacher_X": container(paths)}
    params = {"module": MLP, "module__hidden": (), "fit_params": beside}
    expected = log_clip(teacher.predict_proba(paths))
    assert_allclose(taught(teacher, images, **params), expected, rtol=1e-5)
    # Out of fold, the paths are sliced too.
    assert np.isfinite(taught(teacher, images, **params, teacher_cv=3)).all()


def test_teacher_X_of_another_length():
    with pytest.raises(ValueError, match="teacher_X has 3 rows, expected 150"):
        student(linear_logits).fit(X, y, teacher_X=X[:3])


@pytest.mark.filterwarnings("ignore:X has feature names")  # the forest says so
@pytest.mark.parametrize("kind", ["skorch-logits", "module", "forest", "list-mixed"])
@pytest.mark.parametrize(
    "form", ["frame", "list", "dataset", "slices", "read-only", "reversed", "fortran"]
)
def test_every_form_of_rows(kind, form):
    teacher, expected = KINDS[kind]()
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    read_only = X.copy()
    read_only.flags.writeable = False  # as joblib maps large arrays
    rows, labels = {
        "frame": lambda: (frame(), y),
        "list": lambda: (X.tolist(), y.tolist()),
        "dataset": lambda: (dataset, None),
        "slices": lambda: (SliceDataset(dataset), y),
        "read-only": lambda: (read_only, y),
        "reversed": lambda: (X[::-1].copy()[::-1], y),
        "fortran": lambda: (np.asfortranarray(X), y),
    }[form]()
    assert_allclose(taught(teacher, rows, labels), expected, rtol=1e-4, atol=1e-4)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, a, b):
        return self.linear(torch.cat([a, b], dim=1))


def two_input_net(rows):
    net = NeuralNetClassifier(
        TwoInputs, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0
    )
    with torch.random.fork_rng():
        return net.set_params(train_split=None).fit(rows, y)


@pytest.mark.parametrize("mapping", [dict, SliceDict])
@pytest.mark.parametrize("skorch", [False, True])
def test_mapping_as_X(mapping, skorch):
    rows = mapping(a=X32[:, :2], b=X32[:, 2:])
    teacher = two_input_net(SliceDict(**rows)) if skorch else TwoInputs()
    module = teacher.module_ if skorch else teacher
    got = taught(teacher, rows, module=TwoInputs)
    assert_allclose(got, by_hand(module.linear), rtol=1e-4, atol=1e-5)
    if skorch:
        again = taught(teacher, rows, module=TwoInputs, teacher_cv=3)
        assert np.isfinite(again).all()


class ByColumn(nn.Module):
    """Takes a DataFrame as skorch hands it over, a column at a time."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, a, b, c, d):
        return self.linear(torch.cat([a, b, c, d], dim=1).float())


def test_skorch_net_that_takes_the_columns_of_a_frame():
    net = NeuralNetClassifier(ByColumn, criterion=nn.CrossEntropyLoss, verbose=0)
    net.initialize()
    assert_allclose(
        taught(net, frame()), by_hand(net.module_.linear), rtol=1e-4, atol=1e-5
    )


def test_torch_dataset_with_clones_of_the_teacher():
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    got = taught(GaussianNB(), dataset, None, teacher_cv=None)
    assert_allclose(got, log_clip(fitted(GaussianNB()).predict_proba(X)), rtol=1e-4)
    assert np.isfinite(taught(GaussianNB(), dataset, None, teacher_cv=3)).all()


def test_teacher_in_parts_does_not_depend_on_the_cut():
    teacher = network()
    rows = np.tile(X, (5, 1))  # more than a forward pass takes
    got = taught(teacher, rows, np.tile(y, 5))
    assert_allclose(got, by_hand(teacher, rows), rtol=1e-4, atol=1e-5)
