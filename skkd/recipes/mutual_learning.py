"""Students that teach each other while they train (Zhang et al., 2018)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from sklearn.base import clone

from skkd._data.keys import INPUT, TEACHER_LOGITS, split_inputs
from skkd._estimator.classifier import DistilledClassifier
from skkd._utils.checks import check_number
from skkd._utils.modules import cast_floats, first_tensor, log_probabilities
from skkd.losses._registry import loss_of, needs_of
from skkd.recipes._base import Recipe, check_settings

# Prefix of a parameter's name in the cohort, which may be compiled.
_OF_COHORT = re.compile(r"^(_orig_mod\.)?students\.\d+\.")


class MutualLearning(Recipe):
    r"""Several students, trained at the same time, each taught by all others.

    There is no teacher: the current predictions of the other students replace it. For K
    students with logits :math:`z_k`, student k minimises

    .. math:: (1 - \alpha)\, \mathrm{CE}(z_k, y) + \alpha \, \frac{1}{K - 1}
              \sum_{l \ne k} T^2 \, \mathrm{KL}(p_l \,\|\, p_k)

    in every batch, or the estimator's ``criterion`` and ``distillation`` in place of
    the two terms. The gradient is that of student k alone.

    Parameters
    ----------
    estimator : DistilledClassifier
        Without a teacher; cloned for every student. ``alpha`` weighs the term of the
        other students. Unlabelled samples (``unlabeled``) are taught by the others.
    n_students : int or list of dict, default=2
        Number of students, at least 2, all with the estimator's network. Or a list with
        one dict for each student: the parameters of its network, ``module`` and
        ``module__*``, that differ from the estimator's, as in
        ``[{"module__hidden": 64}, {"module__hidden": 256}]``.

    Attributes
    ----------
    students_ : list of DistilledClassifier
        The trained students. Their own ``history`` is empty, as they train together.
    student_ : DistilledClassifier
        The first of them, which need not be the best; used by `predict` and `score`.
    history_ : skorch.history.History
        ``train_loss`` is the sum over the students, ``valid_loss`` the plain criterion
        of the first.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Notes
    -----
    The paper adds both terms, each with weight 1, at temperature 1. ``alpha=0.5,
    temperature=1`` is half of this sum, for any number of students.

    The paper updates the students in turn, each with new predictions of the others.
    Here all take a step from the same predictions, in a single pass. One optimizer
    holds the parameters of all students. This is the same as one for each, unless all
    parameters are used together, as by LBFGS or by a callback that clips gradients by
    their norm.

    Patterns of parameter names, in ``optimizer__param_groups`` or in callbacks such as
    skorch's Freezer, are matched with the names in a student's own network, for every
    student.

    References
    ----------
    Y. Zhang, T. Xiang, T. M. Hospedales, H. Lu, "Deep Mutual Learning", CVPR 2018: the
    loss of two students in section "Formulation", of more in section "Extension to
    Larger Student Cohorts". https://arxiv.org/abs/1706.00384

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier
    >>> from skkd.recipes import MutualLearning
    >>> X, y = load_iris(return_X_y=True)
    >>> net = DistilledClassifier(temperature=1, lr=0.01, max_epochs=20, random_state=0)
    >>> cohort = MutualLearning(net).fit(X, y)
    >>> cohort.score(X, y) > 0.9
    True
    >>> [student.score(X, y) > 0.9 for student in cohort.students_]
    [True, True]
    """

    def __init__(
        self,
        estimator: DistilledClassifier,
        n_students: int | Sequence[Mapping[str, Any]] = 2,
    ) -> None:
        self.estimator = estimator
        self.n_students = n_students

    def _fit_members(
        self, X: Any, y: Any, teacher_data: dict[str, Any], fit_params: dict[str, Any]
    ) -> None:
        _check_no_teacher(self.estimator, teacher_data)
        _check_loss(self.estimator)
        members = self._members(_settings(self.n_students))
        # Their weights come from the random stream of the cohort, as its batches do.
        for member in members:
            member.set_params(random_state=None, compile=False)
        cohort = CohortNet(**clone(self.estimator).get_params(deep=False))
        cohort.members_ = members
        cohort.fit(X, y, **fit_params)
        for member in members:
            cohort.share_fitted(member)
            member.set_params(random_state=self.estimator.random_state)
        self.students_, self.student_ = members, members[0]
        self.history_ = cohort.history_


class Cohort(torch.nn.Module):
    """Several networks as one module; returns the logits of each, as a tuple."""

    def __init__(self, students: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.students = torch.nn.ModuleList(students)

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        """Return the logits (n, n_classes) of each student."""
        return tuple(
            first_tensor(student(*cast_floats(args, student), **kwargs))
            for student in self.students
        )


class CohortNet(DistilledClassifier):
    """The net that trains a cohort: its loss is the sum over the students."""

    # The students, built with this net; not a parameter.
    members_: Sequence[DistilledClassifier] = ()

    def share_fitted(self, member: DistilledClassifier) -> None:
        """Copy the fitted attributes that a student does not have itself."""
        own = {"members_", *vars(member)}
        fitted = {k: v for k, v in vars(self).items() if k.endswith("_")}
        member.__dict__.update({k: v for k, v in fitted.items() if k not in own})

    def initialize_module(self) -> Any:
        """Build every student, and the cohort of them."""
        for member in self.members_:
            self.share_fitted(member)
            member.initialize()
        self.module_ = Cohort([member.module_ for member in self.members_])
        return self

    def get_all_learnable_params(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yield all parameters, each with its name in the student's own network.

        So names are not unique: a pattern matches in every student.
        """
        for name, parameter in super().get_all_learnable_params():
            yield _OF_COHORT.sub(r"\1", name), parameter

    def _more_content(self) -> Any:
        return [
            [(k, v) for k, v in sorted(vars(m).items()) if k.startswith("module")]
            for m in self.members_
        ]

    def _teaches_unlabeled(self, needs: frozenset[str], given: bool) -> bool:
        return True  # the other students do

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Return the sum of the students' losses, or the criterion of the first."""
        if not training:
            return super().get_loss(y_pred[0], y_true, X=X, training=False)
        inputs, fields = split_inputs(X)
        targets = [self._as_teacher(outputs) for outputs in y_pred]
        total = torch.zeros((), device=y_pred[0].device)
        for k, outputs in enumerate(y_pred):
            others = targets[:k] + targets[k + 1 :]
            for logits in others:
                batch = {**fields, INPUT: inputs, TEACHER_LOGITS: logits}
                loss = super().get_loss(outputs, y_true, X=batch, training=True)
                # The labels' term is the same each time, and its own mean.
                total = total + loss / len(others)
        return total

    def _as_teacher(self, outputs: torch.Tensor) -> torch.Tensor:
        if self.expects_probabilities:
            outputs = log_probabilities(outputs)
        return outputs.detach()


def _settings(n_students: Any) -> Sequence[Mapping[str, Any]]:
    """Return the parameters of each student that differ from the estimator's."""
    if isinstance(n_students, Integral):
        check_number("n_students", n_students, Integral, low=2)
        return [{}] * int(n_students)
    check_settings("n_students", n_students)
    if len(n_students) < 2:
        raise ValueError(f"n_students={n_students!r}: expected two or more students.")
    names = {name for params in n_students for name in params}
    shared = sorted(name for name in names if name.partition("__")[0] != "module")
    if shared:
        raise ValueError(
            f"n_students sets {', '.join(shared)}, and they are trained together: set "
            "it on the estimator, only module and module__* may differ."
        )
    return n_students


def _check_no_teacher(
    estimator: DistilledClassifier, teacher_data: dict[str, Any]
) -> None:
    if estimator.teacher is not None or teacher_data:
        found = ", ".join(teacher_data) or "estimator.teacher"
        raise ValueError(
            f"{found}: in mutual learning the students teach each other, without a "
            "teacher. Leave it out, or use a DistilledClassifier, DistilledEnsemble or "
            "BornAgain."
        )
    if type(estimator) is not DistilledClassifier:
        raise TypeError(
            f"estimator is a {type(estimator).__name__}, expected DistilledClassifier "
            "itself: what a subclass changes in the training would have no effect."
        )


def _check_loss(estimator: DistilledClassifier) -> None:
    needs = needs_of(loss_of(estimator))
    if needs != {"logits"}:
        raise ValueError(
            f"distillation={estimator.distillation!r} needs "
            f"{', '.join(sorted(needs)) or 'nothing'} of a teacher, and in mutual "
            "learning the other students give only logits: use a loss on logits, such "
            "as 'kd'."
        )
