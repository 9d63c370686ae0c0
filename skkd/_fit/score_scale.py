"""One temperature for a teacher's scores, or logits that are to be calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from skkd._fit.plan import FitPlan
from skkd.teachers import Finding, Teacher
from skkd.teachers.health._finding import name_of

# ln of the temperature, in units of the scores' deviation.
_BOUNDS = (-10.0, 10.0)
# ln of the temperature of logits, which have a scale: from 0.05 to 20.
_BOUNDS_OF_LOGITS = (-3.0, 3.0)


def fit_temperature(
    scores: np.ndarray, y_encoded: np.ndarray, weight: np.ndarray | None = None
) -> float | None:
    """Return the T at which softmax(scores / T) predicts the labels best.

    Temperature scaling [1]_: one number, so that decisions stay as they are, that
    minimises the cross-entropy over the labelled rows. A teacher that has separated the
    rows it was fitted on would want T = 0: the targets are Platt's [2]_, (N + 1) /
    (N + 2) for a class of N rows, the rest shared by the other classes.

    Parameters
    ----------
    scores : ndarray of shape (n, n_classes)
    y_encoded : ndarray of shape (n,)
        -1 for unlabelled rows.
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    float or None
        None if the labels are of fewer than two classes, or no score differs.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017, section 4.2. https://arxiv.org/abs/1706.04599
    .. [2] J. C. Platt, "Probabilistic Outputs for Support Vector Machines", 1999,
       section 2.2.
    """
    z, y, w = _labelled(scores, y_encoded, weight)
    if len(np.unique(y)) < 2:
        return None
    z = z - z.mean(axis=1, keepdims=True)
    unit = float(z.std())
    if not (np.isfinite(unit) and unit > 0):
        return None
    n_rows = np.bincount(y, minlength=z.shape[1])[y]
    share = (n_rows + 1) / (n_rows + 2)
    rest = (1 - share) / (z.shape[1] - 1)
    rows = np.arange(len(y))

    def cross_entropy(log_t: float) -> float:
        log_p = log_softmax(z / (unit * np.exp(log_t)), axis=1)
        own = log_p[rows, y]
        loss = share * own + rest * (log_p.sum(axis=1) - own)
        return -float(np.average(loss, weights=w))

    found = minimize_scalar(cross_entropy, bounds=_BOUNDS, method="bounded")
    return unit * float(np.exp(found.x))


def calibrate(
    logits: np.ndarray, y_encoded: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """Return the T at which softmax(logits / T) has the least Brier score [1]_.

    The logits are those of rows that the teacher did not see. A cross-entropy would be
    ruled by the zeros among the probabilities of a forest, which are no certainties:
    one that is wrong costs as much as all other rows.

    Parameters
    ----------
    logits : ndarray of shape (n, n_classes)
    y_encoded : ndarray of shape (n,)
        -1 for unlabelled rows.
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    float
        1 if the labels are of fewer than two classes.

    References
    ----------
    .. [1] G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability",
       Monthly Weather Review 78, 1950, equation 2.
    """
    z, y, w = _labelled(logits, y_encoded, weight)
    if len(np.unique(y)) < 2:
        return 1.0
    labels = np.eye(z.shape[1])[y]

    def brier(log_t: float) -> float:
        errors = softmax(z / np.exp(log_t), axis=1) - labels
        return float(np.average((errors**2).sum(axis=1), weights=w))

    found = minimize_scalar(brier, bounds=_BOUNDS_OF_LOGITS, method="bounded")
    return float(np.exp(found.x))


def _labelled(
    logits: np.ndarray, y_encoded: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return logits, labels and weights of the labelled rows; no weights that are 0."""
    known = y_encoded >= 0
    w = None if weight is None or not weight[known].any() else weight[known]
    return np.asarray(logits[known], dtype=np.float64), y_encoded[known], w


def scale_of_scores(
    plan: FitPlan, net: Any, teacher: Teacher, scores: np.ndarray, index: np.ndarray
) -> tuple[float, list[Finding]]:
    """Return what divides the scores in this fit, and a finding if that is unknown.

    Parameters
    ----------
    plan : FitPlan
    net : DistilledClassifier
    teacher : Teacher
        One that gives scores.
    scores : ndarray of shape (n_checked, n_classes)
    index : ndarray of shape (n_checked,)
        Their rows among those of the plan.
    """
    before = getattr(net, "teacher_temperature_", 1.0)
    if not plan.fresh and before != 1 and net.teacher_ is net.teacher:
        return before, []  # a further `partial_fit`, maybe of few rows
    weight = None if plan.sample_weight is None else plan.sample_weight[index]
    found = fit_temperature(scores, plan.y_encoded[index], weight)
    if found is not None:
        return found, []
    text = (
        f"{name_of(teacher)} gives scores, whose scale is fitted to labels, and there "
        "are none of two classes or more: they are taken as logits. Pass some labelled "
        "rows, or CalibratedClassifierCV(model), fitted; if they are logits, say so: "
        "as_teacher(model, output='logits')."
    )
    return 1.0, [Finding("scores-as-logits", text)]
