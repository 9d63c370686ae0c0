"""Several classifiers on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skkd._evaluate.evaluate import evaluate
from skkd._evaluate.machine import describe_machine
from skkd._evaluate.predictions import AlignedPredictions
from skkd._evaluate.statistics import (
    bootstrap_mean,
    check_confidence,
    count_won,
    holm,
    mcnemar,
)
from skkd._fit.seen_rows import (
    UNKNOWN,
    check_teacher_saw,
    look_for_seen_rows,
    report_seen_rows,
)
from skkd._utils.checks import check_number
from skkd.report._compare._examples import choose_examples
from skkd.report._compare._pairs import Pair
from skkd.report._compare._result import Comparison
from skkd.report._tables import count
from skkd.teachers import Finding


def compare(
    models: Mapping[str, Any],
    X: Any,
    y: ArrayLike | None = None,
    *,
    X_by_model: Mapping[str, Any] | None = None,
    teacher: str = "teacher",
    baseline: str = "plain",
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    teacher_saw: str | None = None,
    timing: bool = True,
    batch_size: int = 64,
    n_examples: int = 12,
    random_state: Any = 0,
) -> Comparison:
    """Compare fitted classifiers on rows that none of them was trained on.

    Quality, size and speed of each model, and for each pair the difference in accuracy
    with its interval. A dash stands for a measure that does not apply. No model is
    changed.

    Parameters
    ----------
    models : dict of str to object
        Fitted classifiers by name: of scikit-learn, pipelines, skorch nets,
        DistilledClassifier, recipes; also every kind of teacher: torch modules that
        return logits, callables, lists of these, which are averaged, and what
        :func:`~skkd.teachers.as_teacher` returns.
    X : array-like of n rows
        The input of each model: arrays, images, paths for pipelines that begin with an
        ImageReader, a DataFrame, a torch Dataset.
    y : array-like of shape (n,), default=None
        True labels. May be None if X is a Dataset that holds them.
    X_by_model : dict of str to array-like of n rows, default=None
        The same rows in another form, for the models that need it, such as larger
        images.
    teacher : str, default="teacher"
        Name of the model with which agreement is measured, if there is one.
    baseline : str, default="plain"
        Name of the student trained without a teacher; the examples are images on which
        it and the teacher differ. If one of the two is missing, on which any models do.
    groups : array-like of shape (n,), default=None
        Rows that belong together, such as copies of an image: they are drawn together
        for the intervals, and count as one for the tests.
    confidence : float, default=0.95
        Confidence level of the intervals, in (0, 1).
    teacher_saw : {None, "other rows"}, default=None
        "other rows" vouches that the teacher was fitted on none of the rows. None: not
        known, which the result says in its first line; a teacher that is right on
        nearly all of them is a :class:`~skkd.TeacherWarning`.
    timing : bool, default=True
        Whether to measure times, which takes about two seconds for each model.
    batch_size : int, default=64
        How many rows, the first of X, are predicted together to measure throughput.
    n_examples : int, default=12
        How many images to keep as examples, for uint8 images.
    random_state : int, RandomState or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    Comparison
        Prints as a table; ``to_markdown()``, ``to_frame()``, ``to_html(path)``.

    Raises
    ------
    NotFittedError
        If a model is not fitted.
    TypeError
        If `models` is not a dict, or one of them is not a classifier.
    ValueError
        If a model does not accept X or knows none of the labels of y, y has rows
        without a label, or a parameter has a wrong value.

    Notes
    -----
    - Averages over classes are over the classes of y, the same for all models.
    - A classifier without probabilities, such as an SVC by default, has no log loss and
      no calibration error. A model that does not know a class of y has no log loss
      either, since it would be infinite. Probabilities are clipped at 1.2e-7 for the
      log loss of all models, as scikit-learn does for float32.
    - The expected calibration error [1]_ is that of the predicted class, over 15 bins
      of equal width.
    - The columns of a torch module or callable stand for the classes that y and the
      other models know, sorted. ``as_teacher(module, classes=[...])`` names them.
    - Parameters and multiply-adds are those of networks; steps before a network in a
      pipeline add to the bytes only. Multiply-adds are half of the FLOPs that torch
      counts for one row. They are left out if an operation cannot be counted, as in
      most recurrent and transformer layers.
    - Times are of `predict` on rows in memory, without reading files; for a pipeline
      without its ImageReader. All models are timed in turn, in many rounds.
    - The interval is a paired percentile bootstrap over rows: it covers another sample
      of test rows, but not another training run, for which there is :func:`gain`. For
      models that agree on all rows its width is zero.
    - McNemar's test is the exact one. With several pairs some differ by chance: "Holm
      p" is corrected for their number; the intervals are not.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017, equation (3). https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from skkd import DistilledClassifier
    >>> from skkd.report import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> teacher = SVC(gamma=0.001).fit(X[:1000], y[:1000])
    >>> net = DistilledClassifier(module__hidden=16, lr=0.01, random_state=0)
    >>> plain = net.fit(X[:1000], y[:1000])
    >>> models = {"teacher": teacher, "plain": plain}
    >>> result = compare(models, X[1000:], y[1000:], timing=False)
    >>> result.measures["plain"]["parameters"]
    1210
    >>> result.measures["teacher"]["parameters"] is None
    True
    """
    _check(models, X_by_model, teacher, baseline, confidence)
    check_teacher_saw(teacher_saw)
    check_number("batch_size", batch_size, Integral, low=1)
    seed = check_random_state(random_state).randint(2**31 - 1)
    roles = {"teacher": teacher, "baseline": baseline}
    roles = {role: name for role, name in roles.items() if name in models}
    found = evaluate(
        models,
        X,
        y,
        X_by_model=X_by_model,
        teacher=roles.get("teacher"),
        groups=groups,
        batch_size=batch_size if timing else 0,
    )
    pairs = _pairs(found.predictions, found.groups, confidence, seed)
    caveat = ""
    if "teacher" in roles and teacher_saw is None:
        caveat = _caveat_of(found.predictions, roles["teacher"])
    examples, disagreement = choose_examples(X, found, roles, n_examples)
    return Comparison(
        measures=found.measures,
        pairs=pairs,
        predictions={name: found.predictions.of_model(name) for name in models},
        y=found.y,
        classes=found.predictions.classes,
        notes=[
            _about_rows(found.y, found.groups),
            *found.conditions,
            *_about_pairs(pairs, found.groups),
        ],
        machine=describe_machine(),
        confidence=confidence,
        **roles,
        caveat=caveat,
        examples=examples,
        disagreement=disagreement,
    )


def _check(
    models: Any, X_by_model: Any, teacher: Any, baseline: Any, confidence: Any
) -> None:
    if not isinstance(models, Mapping) or not models:
        raise TypeError(
            f"models={models!r:.100}: expected a dict of fitted classifiers by name, "
            "such as {'teacher': teacher, 'student': student, 'plain': plain}."
        )
    wrong = [name for name in models if not isinstance(name, str) or not name]
    if wrong:
        raise TypeError(f"models has the keys {wrong}: expected names, as strings.")
    for name, value, default in (
        ("teacher", teacher, "teacher"),
        ("baseline", baseline, "plain"),
    ):
        if value != default and value not in models:
            raise ValueError(
                f"{name}={value!r} is none of the models: expected one of {[*models]}."
            )
    unknown = [name for name in X_by_model or {} if name not in models]
    if unknown:
        raise ValueError(
            f"X_by_model has the keys {unknown}: expected names of models, {[*models]}."
        )
    check_confidence(confidence)


def _pairs(
    predictions: AlignedPredictions,
    groups: np.ndarray | None,
    confidence: float,
    seed: int,
) -> list[Pair]:
    y = predictions.y_encoded
    right = {name: labels == y for name, labels in predictions.labels.items()}
    names = list(combinations(right, 2))
    p_values = [mcnemar(right[one], right[other], groups) for one, other in names]
    pairs = []
    for (one, other), p, p_holm in zip(names, p_values, holm(p_values), strict=True):
        difference = right[one].astype(int) - right[other]
        low, high = bootstrap_mean(difference, groups, confidence=confidence, rng=seed)
        only_first, only_second = count_won(right[one], right[other], groups)
        pairs.append(
            Pair(
                *(one, other),
                difference=float(difference.mean()),
                low=low,
                high=high,
                only_first=only_first,
                only_second=only_second,
                p_value=p,
                p_holm=float(p_holm),
            )
        )
    return pairs


def _caveat_of(predictions: AlignedPredictions, teacher: str) -> str:
    """Return what the comparison depends on, and warn if the teacher saw the rows."""
    right = {
        name: labels == predictions.y_encoded
        for name, labels in predictions.labels.items()
    }
    others = [right[name] for name in right if name != teacher]
    found: list[Finding] = []
    if others:
        best = max(others, key=np.mean)
        found = report_seen_rows(look_for_seen_rows(right[teacher], best))
    return str(found[0]) if found else UNKNOWN


def _about_rows(y: np.ndarray, groups: np.ndarray | None) -> str:
    text = count(len(y), "row")
    if groups is not None:
        text += f" in {count(len(np.unique(groups)), 'group')}"
    return f"{text}, {count(len(np.unique(y)), 'class', 'classes')}."


def _about_pairs(pairs: list[Pair], groups: np.ndarray | None) -> list[str]:
    if not pairs:
        return []
    unit = "rows" if groups is None else "groups"
    text = (
        f"Intervals: paired bootstrap over {unit}; they do not cover another training "
        f"run. p: McNemar's exact test over {unit}, two-sided"
    )
    if len(pairs) > 1:
        text += f"; Holm p is corrected for {len(pairs)} pairs, intervals are not"
    return [f"{text}."]
