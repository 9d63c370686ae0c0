"""Transforms count for the memory, are left as they are, and are checked."""

import functools
import pickle
import random

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn
from torchvision import transforms as v1
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2
from transform_cases import (
    CLASSES,
    IMAGES,
    IRIS,
    LOG,
    SPECIES,
    Pixels,
    Seen,
    Shift,
    digits,
    halved,
    rng_state,
    small_student,
    state_of,
    student,
    to_teacher,
    y,
)

from skkd.exceptions import DistillationWarning
from skkd.teachers import as_teacher

# Teachers in here are asked about rows of their own; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes)\]:skkd.TeacherWarning"
)


@pytest.fixture(autouse=True)
def _empty_log():
    LOG.clear()


class Mean(nn.Module):
    """A transform with content: a buffer."""

    def __init__(self, mean):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))

    def forward(self, rows):
        return rows - self.mean


def computed(teacher, **params):
    return small_student(teacher, **params).fit(IRIS, SPECIES).cache_info_[0]


@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_the_transform_is_part_of_the_teachers_content(tmp_path):
    bayes = GaussianNB().fit(IRIS, SPECIES)
    every = computed(bayes, memory=tmp_path)
    assert every == 149  # two rows are equal
    mean = Mean([1.0, 2.0, 3.0, 0.0])
    assert computed(bayes, teacher_transform=mean, memory=tmp_path) == every
    # Known by content, however it is said.
    again = as_teacher(bayes, transform=Mean([1.0, 2.0, 3.0, 0.0]).eval())
    assert computed(again, memory=tmp_path) == 0
    other = Mean([1.0, 2.0, 3.0, 0.5])
    assert computed(bayes, teacher_transform=other, memory=tmp_path) == every
    mean.mean[0] = 7
    assert computed(bayes, teacher_transform=mean, memory=tmp_path) == every
    assert computed(bayes, memory=tmp_path) == 0


@pytest.mark.parametrize(
    "other", [to_teacher(13), v2.Compose(to_teacher().transforms[:2])]
)
def test_transforms_of_torchvision_are_known_by_content(other):
    def asked(transform):
        est = small_student(wide, teacher_transform=transform).fit(IMAGES, y)
        assert est.cache_info_.note == ""
        return est.cache_info_.misses

    wide = Pixels()
    every = asked(to_teacher())
    assert every == len(np.unique(digits, axis=0))
    assert asked(to_teacher()) == 0
    assert asked(other) == every
    assert asked(to_teacher()) == 0


def test_a_method_is_known_by_its_object():
    scaler = StandardScaler().fit(IRIS)
    bayes = GaussianNB().fit(scaler.transform(IRIS), SPECIES)
    assert computed(bayes, teacher_transform=scaler.transform) == 149
    assert computed(bayes, teacher_transform=scaler.transform) == 0
    other = StandardScaler().fit(IRIS[:50])
    assert computed(bayes, teacher_transform=other.transform) == 149


@pytest.mark.parametrize(
    "transform",
    [halved, lambda rows: rows / 2, functools.partial(torch.mul, other=0.5)],
    ids=["function", "lambda", "partial"],
)
def test_functions_are_asked_in_each_fit(transform, tmp_path):
    bayes = GaussianNB().fit(IRIS, SPECIES)
    est = small_student(bayes, teacher_transform=transform)
    for _ in range(2):
        taught = est.fit(IRIS, SPECIES).cache_info_
        assert taught.misses == 150
        assert "the transform of as_teacher(Gaus" in taught.note
    with pytest.warns(
        DistillationWarning, match=r"GaussianNB, transform=.*is a function"
    ):
        est.set_params(memory=tmp_path).fit(IRIS, SPECIES)


FACTOR = 0.5


def scaled(rows):
    return rows * FACTOR


class Hooked(nn.Identity):
    def __init__(self, hook):
        super().__init__()
        self.register_forward_hook(hook)


class Applied:
    """A transform whose attributes are its content."""

    def __init__(self, function):
        self.function = function

    def __call__(self, rows):
        return self.function(rows)


@pytest.mark.parametrize(
    "transform",
    [
        v2.Lambda(scaled),
        v1.Lambda(scaled),
        v2.Lambda(lambda rows: rows * FACTOR),
        v2.Lambda(functools.partial(scaled)),
        v2.Compose([nn.Identity(), v2.Lambda(scaled)]),
        v1.Compose([v1.Compose([v1.Lambda(scaled)])]),
        nn.Sequential(v2.Lambda(scaled)),
        Hooked(lambda module, args, output: output * FACTOR),
        Applied(scaled),
    ],
)
def test_a_function_inside_is_asked_in_each_fit(transform, tmp_path, monkeypatch):
    bayes = GaussianNB().fit(IRIS, SPECIES)
    est = small_student(bayes, teacher_transform=transform)
    probabilities = []
    for factor in (0.5, 100.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        taught = est.fit(IRIS, SPECIES).cache_info_
        assert (taught.misses, taught.hits) == (150, 0)
        assert "is a function" in taught.note
        probabilities.append(est.predict_proba(IRIS))
    assert (probabilities[0] != probabilities[1]).any()
    with pytest.warns(DistillationWarning, match="inside of the transform"):
        est.set_params(memory=tmp_path).fit(IRIS, SPECIES)


def test_functions_of_releases_are_known_inside_of_a_transform():
    bayes = GaussianNB().fit(IRIS, SPECIES)
    for function in (nn.functional.relu, functools.partial(torch.mul, other=0.5)):
        assert computed(bayes, teacher_transform=Applied(function)) == 149
        assert computed(bayes, teacher_transform=Applied(function)) == 0


def test_functions_of_the_teacher_itself_are_known_by_their_code():
    inner = make_pipeline(FunctionTransformer(halved), GaussianNB())
    inner.fit(IRIS, SPECIES)
    for every in (149, 0):
        assert computed(inner, teacher_transform=Shift(0.25)) == every


def test_a_fingerprint_lasts_through_use():
    wrapped = as_teacher(Seen(), transform=ResNet18_Weights.DEFAULT.transforms())
    before = joblib.hash(pickle.dumps(wrapped.transform))
    wrapped.check_rows(np.zeros((2, 3, 9, 9), np.uint8))
    assert joblib.hash(pickle.dumps(wrapped.transform)) == before


# --- The transform is left as it is ---------------------------------------------------


class Normed(nn.Module):
    """A transform that would learn, and drop, in train mode."""

    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)).double()
        self.parts[1].eval()

    def forward(self, rows):
        assert not torch.is_grad_enabled()
        assert not any(part.training for part in self.modules())
        return self.parts(rows)


@pytest.mark.parametrize("inside", [None, v1.Compose, v2.Compose])
def test_a_module_is_run_in_eval_mode_and_put_back(inside):
    normed = Normed()
    transform = normed if inside is None else inside([normed])
    bayes = GaussianNB().fit(IRIS, SPECIES)
    before, rng = state_of(normed), rng_state()
    est = small_student(bayes, teacher_transform=transform).fit(IRIS, SPECIES)
    est.set_params(augment=torch.clone).fit(IRIS, SPECIES)
    assert state_of(normed) == before
    assert rng_state() == rng
    assert normed.training
    with pytest.raises(ValueError, match="transform of the teacher"):
        as_teacher(bayes, transform=transform).logits(IRIS[:, :3], [0, 1, 2])
    assert state_of(normed) == before


def test_random_numbers_that_a_transform_draws_are_given_back():
    def draws(rows):
        np.random.rand(3), random.random(), torch.rand(2)
        return rows

    bayes = GaussianNB().fit(IRIS, SPECIES)
    rng = rng_state()
    as_teacher(bayes, transform=draws).logits(IRIS, [0, 1, 2])
    assert rng_state() == rng
    quiet = small_student(bayes, max_epochs=2).fit(IRIS, SPECIES)
    noise = small_student(bayes, max_epochs=2, teacher_transform=draws)
    noise.fit(IRIS, SPECIES)
    assert_array_equal(quiet.predict_proba(IRIS), noise.predict_proba(IRIS))


# --- Mistakes -------------------------------------------------------------------------


def never_built(**kwargs):
    raise AssertionError("the student was built")


@pytest.mark.parametrize("augment", [None, torch.clone])
@pytest.mark.parametrize("nested", [False, True])
def test_a_transform_that_augments(augment, nested):
    flipped = v2.Compose([to_teacher(), v2.RandomErasing(p=1.0)])
    teacher = as_teacher(Seen(), transform=flipped)
    est = small_student([teacher] if nested else teacher, augment=augment)
    with pytest.raises(ValueError, match=r"transform of the teacher, Compose.*evalua"):
        est.fit(IMAGES, y)


def test_rows_with_missing_values_are_the_same_each_time():
    rows = IRIS.copy()
    rows[0] = np.nan
    as_teacher(Pixels(), transform=halved).check_rows(rows)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda rows: rows[:1], r"returns shape \(1, 1, 8, 8\) for 2 samples.*as many"),
        (lambda rows: rows.sum(), r"returns shape \(\) for 2 samples"),
        (lambda rows: [*rows], r"returns a list, expected a tensor of 2 samples"),
        (lambda rows: None, r"returns a NoneType"),
        (v2.Normalize([0.5], [0.5]), r"does not take samples.*a torch.uint8 tensor of"),
        (v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32)]), None),
    ],
)
def test_what_a_transform_does_wrong_is_said_to_be_its_own(transform, message):
    if message is None:  # an Image of torchvision is a tensor
        as_teacher(Seen(64), transform=transform).logits(IMAGES, CLASSES)
        return
    est = small_student(Seen(64), teacher_transform=transform)
    message = rf"^The transform of the teacher, .*{message}"
    with pytest.raises(ValueError, match=message):
        est.fit(IMAGES, y)
    with pytest.raises(ValueError, match=message):
        est.set_params(augment=torch.clone).fit(IMAGES, y)


@pytest.mark.parametrize("transform", [5, "resize", [torch.clone], v2.Resize])
def test_what_is_no_transform(transform):
    with pytest.raises(TypeError, match=r"transform of the teacher is .*: expected"):
        as_teacher(Seen(), transform=transform)
    est = student(Seen(), module=never_built, teacher_transform=transform)
    with pytest.raises(TypeError, match=r"transform of the teacher is .*: expected"):
        est.fit(IMAGES, y)


@pytest.mark.parametrize("teacher_cv", [None, 2])
def test_clones_are_fitted_without_a_transform(teacher_cv):
    params = {"teacher_cv": teacher_cv, "teacher_transform": halved}
    est = student(GaussianNB(), module=never_built, **params)
    with pytest.raises(ValueError, match=r"transform=halved.*cv=.*own Pipeline"):
        est.fit(IRIS, SPECIES)


def test_two_transforms():
    once = as_teacher(Seen(), transform=halved)
    for teacher in (once, [once, Seen()], [[once]], FrozenEstimator(once)):
        with pytest.raises(ValueError, match="has a transform already"):
            as_teacher(teacher, transform=to_teacher())
    est = student(once, module=never_built, teacher_transform=halved)
    with pytest.raises(ValueError, match="has a transform already"):
        est.fit(IMAGES, y)


@pytest.mark.parametrize(
    "rows",
    [
        ["a.png", "b.png"],
        {"a": np.zeros((2, 3))},
        pd.DataFrame({"a": ["x", "y"]}),
        [[1.0], [1.0, 2.0]],
    ],
    ids=["paths", "mapping", "strings", "ragged"],
)
def test_rows_that_are_no_numbers(rows):
    teacher = as_teacher(Pixels(), transform=halved)
    with pytest.raises(ValueError, match=r"takes arrays or tensors of numb.*teacher_X"):
        teacher.logits(rows, CLASSES)


def test_without_a_teacher_it_has_no_effect():
    alone = small_student().fit(IMAGES, y).predict_proba(IMAGES)
    est = small_student(teacher_transform=to_teacher()).fit(IMAGES, y)
    assert_array_equal(est.predict_proba(IMAGES), alone)
    logits = np.zeros((200, 10))
    est = small_student(Seen(), teacher_transform=to_teacher())
    est.fit(IMAGES, y, teacher_logits=logits)
    assert not LOG
    est.set_params(alpha=0).fit(IMAGES, y)
    assert not LOG
