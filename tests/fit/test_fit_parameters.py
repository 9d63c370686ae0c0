"""Parameters of a fit and logits: what may be passed, and the errors for the rest."""

import numpy as np
import pandas as pd
import pytest
import torch

from skkd import DistilledClassifier
from skkd._fit.objective import check_hyperparameters
from skkd._fit.views import check_augment
from skkd.augment import Mixup, RandomHorizontalFlip
from skkd.teachers._check_logits import check_logits

X6 = np.zeros((6, 2))

# --- Hyperparameters ---


@pytest.mark.parametrize("temperature", [1, 0.1, 4.0, np.float32(3), np.int64(2)])
@pytest.mark.parametrize("alpha", [0, 1, 0.5, np.float32(0.5)])
def test_good_temperature_and_alpha(temperature, alpha):
    check_hyperparameters(temperature, alpha)


@pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf, "2", None, True, [1]])
def test_bad_temperature_is_refused(bad):
    with pytest.raises(ValueError, match=r"temperature=.*finite number above 0"):
        check_hyperparameters(bad, 0.5)


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, "1", None, False, [1]])
def test_bad_alpha_is_refused(bad):
    with pytest.raises(ValueError, match=r"alpha=.*\[0, 1\]"):
        check_hyperparameters(1, bad)


def test_bad_teacher_cv_is_refused():
    with pytest.raises(ValueError, match=r"teacher_cv='prefitted'.*'prefit'"):
        DistilledClassifier(teacher_cv="prefitted").fit(X6, [0, 1] * 3)


def test_augment_is_checked():
    check_augment(None, None, "same", 3, X6, X6)
    check_augment(abs, None, "same", "prefit", None, None)
    check_augment(abs, None, "same", None, None, None)
    with pytest.raises(TypeError, match="callable"):
        check_augment("flip", None, "same", None, None, None)
    for arguments in (("prefit", X6, None), ("prefit", None, X6), (3, None, None)):
        with pytest.raises(ValueError, match="augment="):
            check_augment(abs, None, "same", *arguments)
        check_augment(abs, None, "clean", *arguments)  # asked for by name


def test_n_views_and_teacher_view_are_checked():
    check_augment(RandomHorizontalFlip(), 3, "same", "prefit", None, None)
    with pytest.raises(ValueError, match=r"n_views=2 are views that augment= makes"):
        check_augment(None, 2, "same", "prefit", None, None)
    for views in (0, -1, 1.5, True, "live"):
        with pytest.raises(ValueError, match="expected None, a whole number"):
            check_augment(RandomHorizontalFlip(), views, "same", "prefit", None, None)
    with pytest.raises(ValueError, match="takes no `seeds`"):
        check_augment(lambda x: x, 2, "same", "prefit", None, None)
    for views, view in ((2, "same"), (None, "clean")):
        with pytest.raises(ValueError, match="mixes the rows"):
            check_augment(Mixup(), views, view, "prefit", None, None)
    with pytest.raises(ValueError, match="p="):
        check_augment(RandomHorizontalFlip(p=2), None, "same", "prefit", None, None)
    with pytest.raises(ValueError, match="augment="):
        check_augment(RandomHorizontalFlip(), 2, "same", "prefit", X6, None)


# --- Logits ---


CLASSES = np.array(["a", "b"])


def test_logits_of_every_kind_become_float32():
    for logits in (
        np.zeros((6, 2)),
        np.zeros((6, 2), int),
        torch.zeros(6, 2),
        torch.zeros(6, 2, dtype=torch.bfloat16),
        pd.DataFrame(np.zeros((6, 2))),
        [[0.0, 1.0]] * 6,
    ):
        checked = check_logits(logits, 6, CLASSES)
        assert checked.dtype == np.float32
        assert checked.shape == (6, 2)


def test_logits_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(6, 3\), expected \(6, 2\).*'a', 'b'"):
        check_logits(np.zeros((6, 3)), 6, CLASSES)


def test_logits_of_another_dtype_are_refused():
    with pytest.raises(ValueError, match="dtype <U1, expected floating"):
        check_logits(np.full((6, 2), "a"), 6, CLASSES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    logits = np.zeros((6, 2))
    logits[4, 1] = bad
    with pytest.raises(ValueError, match=r"1 of 6 rows .the first is row 4.*clip"):
        check_logits(logits, 6, CLASSES)


def test_logits_beyond_float32_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        check_logits(np.full((6, 2), 1e300), 6, CLASSES)
