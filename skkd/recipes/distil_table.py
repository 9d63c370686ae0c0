"""A student of a table, with settings that suit most."""

from __future__ import annotations

from typing import Any

from skkd._estimator.classifier import DistilledClassifier
from skkd._fit.param_checks import has_folds
from skkd.students import MLP
from skkd.tables import SyntheticRows


def distil_table(teacher: Any, **params: Any) -> DistilledClassifier:
    """Return a student for a table, to be fitted on the rows of its teacher.

    Boosted trees, forests and in-context models know the rows that they were fitted on
    too well to teach on these. So clones of the teacher are fitted out of fold, made as
    sure of themselves as they are right, and label synthetic rows beside the real ones;
    the student has dropout and learns mostly from them.

    Parameters
    ----------
    teacher : classifier
        Of scikit-learn's kind: it is cloned, and fitted in five folds.
    **params
        Of :class:`~skkd.DistilledClassifier`, in place of the settings here, and
        parameters of these, such as ``synthetic__factor``.

    Returns
    -------
    DistilledClassifier
        Not fitted.

    Notes
    -----
    A teacher that is no better than the student would be alone, as on a few hundred
    rows, has nothing to teach: ``skkd.report.gain`` tells.

    A student is as sure of itself as its teacher, and boosted trees of a thousand rows
    are too sure: ``teacher_calibration="temperature"`` is set here wherever
    ``teacher_cv`` has folds. ``teacher_temperature_`` says by how much.

    Some licences bind what is made with a model: that of TabPFN wants a student that
    is passed on to bear its name. Read that of your teacher's version.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from skkd.recipes import distil_table
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> teacher = HistGradientBoostingClassifier(max_iter=20)
    >>> student = distil_table(teacher, random_state=0).fit(X, y)
    >>> student.score(X, y) > 0.9
    True
    """
    settings = {
        "module": MLP,
        "module__hidden": 128,
        "module__dropout": 0.3,
        "preprocessor": "auto",
        "synthetic": SyntheticRows(factor=4, fraction=0.3),
        "teacher_cv": 5,
        "alpha": 0.9,
        "lr": 2e-3,
        "batch_size": 256,
        "max_epochs": 15,
    }
    if has_folds(params.get("teacher_cv", settings["teacher_cv"])):
        settings["teacher_calibration"] = "temperature"
    inner = {k: params.pop(k) for k in [*params] if k.startswith("synthetic__")}
    student = DistilledClassifier(**{**settings, "teacher": teacher, **params})
    return student.set_params(**inner)
