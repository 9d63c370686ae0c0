"""Several classifiers on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d

from skkd._data.labels import check_labels, labels_of
from skkd._evaluate.costs import costs_of
from skkd._evaluate.evaluate import check_labelled, quality_of
from skkd._evaluate.machine import describe_machine
from skkd._evaluate.predictions import (
    Asked,
    ask_all,
    guarded,
    make_subjects,
    read_all,
)
from skkd._evaluate.statistics import (
    bootstrap_mean,
    check_confidence,
    holm,
    mcnemar,
)
from skkd.report._compare._examples import choose_examples
from skkd.report._compare._pairs import Answers, Pair
from skkd.report._compare._result import Comparison
from skkd.report._tables import count
from skkd.students._checks import check_count


def compare(
    models: Mapping[str, Any],
    X: Any,
    y: ArrayLike | None = None,
    *,
    X_of: Mapping[str, Any] | None = None,
    teacher: str = "teacher",
    plain: str = "plain",
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    timing: bool = True,
    batch_size: int = 64,
    n_examples: int = 12,
    random_state: Any = 0,
) -> Comparison:
    """Compare fitted classifiers on rows that none of them was trained on.

    Quality, size and speed of each, and for each pair the difference of accuracy with
    its interval. What does not apply to a model is blank. No model is changed.

    Parameters
    ----------
    models : dict of str to object
        Fitted classifiers by name: of scikit-learn, pipelines, skorch nets,
        DistilledClassifier, recipes; also whatever teaches, torch modules that return
        logits, callables, lists of these, which are averaged, and what
        :func:`~skkd.teachers.as_teacher` made.
    X : array-like of n rows
        Given to each model: arrays, images, paths for pipelines that begin with an
        ImageReader, a DataFrame, a torch Dataset.
    y : array-like of shape (n,), default=None
        True labels. May be None where X is a Dataset that holds them.
    X_of : dict of str to array-like of n rows, default=None
        The same rows for a model that wants them otherwise, such as larger images.
    teacher : str, default="teacher"
        Name of the model with which the agreement is measured, where there is one.
    plain : str, default="plain"
        Name of the student that had no teacher; examples are of images on which it
        and the teacher differ. Where one of the two is missing, any models.
    groups : array-like of shape (n,), default=None
        Rows that belong together, such as copies of an image: drawn together for the
        intervals, one piece of evidence for the tests.
    confidence : float, default=0.95
        Of the intervals, in (0, 1).
    timing : bool, default=True
        Whether to measure times, which takes about two seconds for each model.
    batch_size : int, default=64
        Rows that are predicted together to measure throughput; of X the first.
    n_examples : int, default=12
        How many images to keep as examples, for uint8 images.
    random_state : int, RandomState or None, default=0
        Of the bootstrap.

    Returns
    -------
    Comparison
        Prints as a table; ``to_markdown()``, ``to_frame()``, ``to_html(path)``.

    Raises
    ------
    NotFittedError
        If a model is not fitted.
    TypeError
        If `models` is no dict, or holds what does not classify.
    ValueError
        If a model does not take X or knows none of the labels of y, y has rows without
        a label, or a parameter has a wrong value.

    Notes
    -----
    - Averages over classes are over the classes of y, the same for all models.
    - A classifier that gives scores and no probabilities, such as an SVC as it is, has
      no log loss and no calibration error; nor has log loss one that does not know a
      class of y, which it would call impossible. In log loss probabilities
      below 1.2e-7 count as that, scikit-learn's bound for float32, for all models.
    - The expected calibration error [1]_ is that of the most probable label, over 15
      bins of equal width.
    - The columns of a torch module or callable stand for the classes that y and the
      other models know, sorted. ``as_teacher(module, classes=[...])`` names them.
    - Parameters and multiply-adds are those of networks; steps before a network in a
      pipeline add to the bytes only. Multiply-adds are counted by torch for one row,
      half of its FLOPs. They are blank where one of the operations cannot be counted,
      as in most recurrent and transformer layers.
    - Timed is `predict` on rows in memory, without reading files; of a pipeline
      without its ImageReader. All models are timed in turn, over and over.
    - The interval is by a percentile bootstrap over rows, paired: it tells how much the
      difference may owe to this sample of rows, and nothing of another training run,
      which :func:`gain` is for. Of models that agree on all rows it has no width.
    - McNemar's test is the exact one. Of several pairs some differ by chance: "Holm p"
      is corrected for their number; the intervals are not.

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
    _check(models, X_of, teacher, plain, confidence)
    check_count("batch_size", batch_size)
    y, _ = check_labels(X, labels_of(X, y))
    groups = _check_groups(groups, y)
    seed = check_random_state(random_state).randint(2**31 - 1)
    subjects = make_subjects(models)
    check_labelled(subjects, y)
    with guarded(subjects):
        rows = read_all(subjects, X, X_of or {})
        asked = ask_all(subjects, rows, y)
        costs, conditions = costs_of(
            subjects, rows, asked.classes, batch_size if timing else 0
        )
    pairs = _pairs(asked, groups, confidence, seed)
    known = {"teacher": teacher, "plain": plain}
    known = {role: name for role, name in known.items() if name in subjects}
    examples, differ = choose_examples(X, asked, rows, known, groups, n_examples)
    return Comparison(
        measures={
            name: quality_of(asked, name, known.get("teacher"), groups) | costs[name]
            for name in subjects
        },
        pairs=pairs,
        answers={
            name: Answers(asked.classes[asked.labels[name]], asked.proba[name])
            for name in subjects
        },
        y=y,
        classes=asked.classes,
        notes=[_about_rows(y, groups), *conditions, *_about_pairs(pairs, groups)],
        machine=describe_machine(),
        confidence=confidence,
        **known,
        examples=examples,
        differ=differ,
    )


def _check(models: Any, X_of: Any, teacher: Any, plain: Any, confidence: Any) -> None:
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
        ("plain", plain, "plain"),
    ):
        if value != default and value not in models:
            raise ValueError(
                f"{name}={value!r} is none of the models: expected one of {[*models]}."
            )
    unknown = [name for name in X_of or {} if name not in models]
    if unknown:
        raise ValueError(f"X_of names {unknown}: expected names of {[*models]}.")
    check_confidence(confidence)


def _check_groups(groups: Any, y: np.ndarray) -> np.ndarray | None:
    if groups is None:
        return None
    groups = column_or_1d(groups)
    check_consistent_length(groups, y)
    # A group for each row is none.
    return None if len(np.unique(groups)) == len(groups) else groups


def _pairs(
    asked: Asked, groups: np.ndarray | None, confidence: float, seed: int
) -> list[Pair]:
    right = {name: y_encoded == asked.truth for name, y_encoded in asked.labels.items()}
    names = list(combinations(right, 2))
    p_values = [mcnemar(right[one], right[other], groups) for one, other in names]
    pairs = []
    for (one, other), p, p_holm in zip(names, p_values, holm(p_values), strict=True):
        difference = right[one].astype(int) - right[other]
        low, high = bootstrap_mean(difference, groups, confidence=confidence, rng=seed)
        pairs.append(
            Pair(
                *(one, other),
                difference=float(difference.mean()),
                low=low,
                high=high,
                only_first=int((difference > 0).sum()),
                only_second=int((difference < 0).sum()),
                p_value=p,
                p_holm=float(p_holm),
            )
        )
    return pairs


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
        f"Intervals: paired bootstrap over {unit}, of these trained models, not of "
        "another training run. p: McNemar's exact test, two-sided"
    )
    if len(pairs) > 1:
        text += f"; Holm p is corrected for {len(pairs)} pairs, intervals are not"
    return [f"{text}."]
