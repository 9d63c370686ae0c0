"""A chain of teacher assistants (Mirzadeh et al., 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skkd._estimator.classifier import DistilledClassifier
from skkd.recipes._base import Recipe, check_settings, check_uses_teacher, fit_chain


class AssistantChain(Recipe):
    """A large teacher teaches a smaller assistant, which teaches the student.

    If a student is too small to follow its teacher, networks of sizes in between may
    help [1]_. ``estimator.teacher`` teaches the first assistant, each assistant teaches
    the next, and the last one teaches the student. All of them minimise the loss of the
    estimator, with ``alpha`` for the paper's lambda and ``temperature`` for its tau.

    Parameters
    ----------
    estimator : DistilledClassifier
        The student, with the teacher. Cloned for every member of the chain.
    assistants : list of dict
        The parameters of each assistant that differ from the estimator's, from the
        largest to the smallest: ``[{"module__hidden": 256}, {"module__hidden": 64}]``.
        Each may have a ``temperature``, ``alpha`` or ``max_epochs`` of its own. An
        empty list trains the student without assistants. They are dicts, not
        estimators, so that what is set or searched on the estimator holds for the
        whole chain.

    Attributes
    ----------
    student_ : DistilledClassifier
        The trained student, used by `predict` and `score`.
    assistants_ : list of DistilledClassifier
        The trained assistants, each the ``teacher_`` of the next.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Notes
    -----
    Each member has its own seed, drawn from the estimator's ``random_state``.

    References
    ----------
    .. [1] S. I. Mirzadeh, M. Farajtabar, A. Li, N. Levine, A. Matsukawa, H.
       Ghasemzadeh, "Improved Knowledge Distillation via Teacher Assistant", AAAI 2020:
       the loss in section "Background and Notations", the chain in "Teacher Assistant
       Knowledge Distillation (TAKD)". https://arxiv.org/abs/1902.03393

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from skkd import DistilledClassifier
    >>> from skkd.recipes import AssistantChain
    >>> X, y = load_digits(return_X_y=True)
    >>> teacher = SVC(gamma=0.001).fit(X[:1000], y[:1000])
    >>> student = DistilledClassifier(
    ...     teacher=teacher, module__hidden=8, max_epochs=10, random_state=0
    ... )
    >>> chain = AssistantChain(student, [{"module__hidden": 64}])
    >>> chain = chain.fit(X[:1000], y[:1000])
    >>> chain.student_.teacher_ is chain.assistants_[0]
    True
    >>> chain.assistants_[0].teacher_ is teacher
    True
    """

    def __init__(
        self, estimator: DistilledClassifier, assistants: Sequence[Mapping[str, Any]]
    ) -> None:
        self.estimator = estimator
        self.assistants = assistants

    def _fit_members(
        self, X: Any, y: Any, teacher_data: dict[str, Any], fit_params: dict[str, Any]
    ) -> None:
        check_settings("assistants", self.assistants)
        if self.estimator.teacher is None and "teacher_logits" not in teacher_data:
            raise ValueError(
                "A chain of assistants starts from a teacher, and estimator.teacher is "
                "None: pass DistilledClassifier(teacher=...)."
            )
        members = self._members([*self.assistants, {}])
        for member in members:
            check_uses_teacher(member)
        chain = fit_chain(members, X, y, teacher_data, fit_params)
        *self.assistants_, self.student_ = chain
