"""Mistakes that give a wrong answer unless somebody says so."""

import numpy as np
import pandas as pd
import pytest
import torch
from optuna import create_study
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skkd import DistillationWarning, DistilledClassifier
from skkd.search import pruned_cross_val_score
from skkd.students import MLP
from skkd.teachers import as_teacher

X, y = load_iris(return_X_y=True)
X[142, 0] += 0.05  # it equals row 101, and equal rows are asked about once
IMAGES = np.random.default_rng(0).integers(0, 255, (12, 1, 6, 6), dtype=np.uint8)


def test_log_probabilities_are_not_taken_for_probabilities():
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LogSoftmax(-1))
    net = NeuralNetClassifier(module, max_epochs=1, verbose=0, train_split=None)
    net.fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match=r"should give proba.*output='log"):
        as_teacher(net).logits(X, [0, 1, 2])
    logits = as_teacher(net, output="log_proba").logits(X, [0, 1, 2])
    assert np.allclose(np.exp(logits).sum(axis=1), 1)


@pytest.mark.parametrize("output", ["proba", "log_proba"])
def test_logits_are_not_taken_for_what_they_were_declared(output):
    with pytest.raises(ValueError, match=f"should give {output}"):
        as_teacher(lambda X: X[:, :3], output=output).logits(X, [0, 1, 2])


def test_the_error_of_a_teacher_says_that_it_is_the_teachers():
    teacher = RandomForestClassifier(n_estimators=5).fit(X[:, :2], y)
    student = make_pipeline(StandardScaler(), DistilledClassifier(teacher=teacher))
    with pytest.raises(ValueError, match=r"teacher Random.*\(150, 4\).*teacher_X"):
        student.fit(X, y)


def test_a_student_that_gives_logits_does_not_suit_nllloss():
    with pytest.raises(ValueError, match="NLLLoss expects probabilities"):
        DistilledClassifier(MLP, criterion=torch.nn.NLLLoss).fit(X, y)


def test_a_loss_that_is_no_number_is_told():
    student = DistilledClassifier(
        optimizer=torch.optim.SGD, lr=1e30, max_epochs=3, random_state=0
    )
    with pytest.warns(DistillationWarning, match="Lower lr"):
        student.fit(X, y)


def test_images_on_another_scale_are_told():
    student = DistilledClassifier(max_epochs=1).fit(IMAGES, [0, 1] * 6)
    with pytest.warns(DistillationWarning, match="0 to 255"):
        student.predict(IMAGES / 255)


def test_one_image_is_not_a_batch():
    student = DistilledClassifier(max_epochs=1).fit(IMAGES, [0, 1] * 6)
    with pytest.raises(ValueError, match=r"For one image pass X\[None\]"):
        student.predict(IMAGES[0])


def test_categories_are_not_numbers():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"] * 5), "b": np.arange(10.0)})
    student = DistilledClassifier(max_epochs=1).fit(frame, [0, 1] * 5)
    assert student.preprocessor_.get_feature_names_out().tolist() == ["a_x", "a_y", "b"]
    with pytest.raises(ValueError, match="preprocessor='auto'"):
        DistilledClassifier().fit(frame.to_numpy(), [0, 1] * 5)


# Which is true: it was fitted on all of them.
@pytest.mark.filterwarnings("ignore:.*saw-test-rows:skkd.TeacherWarning")
def test_a_search_never_holds_out_rows_without_a_label():
    partly = np.where(np.arange(150) % 5 == 0, -1, y)
    teacher = RandomForestClassifier(n_estimators=5).fit(X, y)
    student = DistilledClassifier(teacher=teacher, unlabeled=-1, max_epochs=2)
    trial = create_study(direction="maximize").ask()
    assert pruned_cross_val_score(student, X, partly, trial).shape == (3,)


def test_the_epochs_of_a_pipeline_cannot_be_followed():
    with pytest.raises(TypeError, match="take the last step"):
        pruned_cross_val_score(make_pipeline(MLP), X, y, create_study().ask())


def test_a_fold_whose_teacher_would_lack_a_class_is_told_before_any_fit():
    once = y.copy()
    once[0] = 77
    forest = RandomForestClassifier(n_estimators=2)
    student = DistilledClassifier(teacher=forest, teacher_cv=5)
    with (
        pytest.warns(UserWarning, match="least populated class"),
        pytest.raises(ValueError, match=r"teacher of fold \d would see no row.*77"),
    ):
        student.fit(X, once)


# Both teachers know little: what counts is what they are asked about.
@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
def test_a_teacher_is_not_asked_about_images_that_it_would_not_predict():
    labels = [0, 1] * 6
    teacher = DistilledClassifier(max_epochs=1).fit(IMAGES, labels)
    student = DistilledClassifier(module__width=4, teacher=teacher, max_epochs=1)
    with pytest.raises(ValueError, match=r"would not predict.*teacher_transform="):
        student.fit(IMAGES[..., 1:], labels)
    with pytest.warns(DistillationWarning, match="0 to 255"):
        student.fit((IMAGES / 255).astype(np.float32), labels)
    student.set_params(augment=lambda x: x.float()).fit(IMAGES, labels)


def test_a_marker_of_rows_without_a_label_is_recognised():
    teacher = RandomForestClassifier(n_estimators=5).fit(X, y)
    partly = np.where(np.arange(150) % 5 == 0, -1, y)
    with pytest.raises(ValueError, match="unlabelled samples, pass unlabeled=-1"):
        DistilledClassifier(teacher=teacher).fit(X, partly)
