"""Students that teach each other while they learn (Zhang et al., 2018)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from sklearn.base import clone

from skkd._data.keys import INPUT, TEACHER_LOGITS, split_inputs
from skkd._estimator.classifier import DistilledClassifier
from skkd._utils.modules import (
    cast_floats,
    first_tensor,
    log_probabilities,
    uncompiled,
)
from skkd.recipes._base import Recipe, check_settings
from skkd.students._checks import check_count

# What a fitted student has to know of its fit.
_FACTS = (
    *("classes_inferred_", "input_shape_", "input_dtype_", "n_features_in_"),
    *("feature_names_in_", "distillation_", "teacher_", "cache_info_"),
    "teacher_findings_",
)

# Where a network stands in a cohort, which is maybe compiled.
_OF_COHORT = re.compile(r"^(_orig_mod\.)?students\.\d+\.")


class MutualLearning(Recipe):
    r"""Several students, trained at the same time, each taught by all others.

    There is no teacher: the predictions of the others of the moment take its place. For
    K students with logits :math:`z_k`, student k minimises

    .. math:: (1 - \alpha)\, \mathrm{CE}(z_k, y) + \alpha \, \frac{1}{K - 1}
              \sum_{l \ne k} T^2 \, \mathrm{KL}(p_l \,\|\, p_k)

    in every batch, or what the estimator's ``criterion`` and ``distillation`` say for
    both terms. The gradient of it goes to student k alone.

    Parameters
    ----------
    estimator : DistilledClassifier
        Without a teacher. How the students are built and trained; ``alpha`` weighs
        what the others say. Rows equal to its ``unlabeled`` are taught by the others.
    students : int or list of dict, default=2
        How many, all of them as the estimator says; or the parameters of each student's
        network that differ from the estimator's, in one dict for each:
        ``[{"module__hidden": 64}, {"module__hidden": 256}]``.

    Attributes
    ----------
    students_ : list of DistilledClassifier
        The trained students. Their own ``history`` is empty: they trained together.
    student_ : DistilledClassifier
        The first of them, whichever is best; `predict` and `score` are its.
    history_ : skorch.history.History
        Of the training: ``train_loss`` is the sum over the students, ``valid_loss`` the
        plain criterion of the first.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Notes
    -----
    The paper adds both terms, each with weight 1, at temperature 1. ``alpha=0.5,
    temperature=1`` is half of this sum, for any number of students.

    The paper updates the students in turn, each one after a new look at the others.
    Here all take a step from the same predictions, in a single pass. One optimizer
    holds the parameters of all: the same as one for each, but for what looks at all
    parameters together, as LBFGS, or a callback that clips gradients by their norm.

    Patterns of names, in ``optimizer__param_groups`` or callbacks such as skorch's
    Freezer, are of names in a student's own network, and hold for every student.

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
        students: int | Sequence[Mapping[str, Any]] = 2,
    ) -> None:
        self.estimator = estimator
        self.students = students

    def _fit_members(
        self, X: Any, y: Any, given: dict[str, Any], fit_params: dict[str, Any]
    ) -> None:
        _check_no_teacher(self.estimator, given)
        members = self._members(_settings(self.students))
        # Built from the one stream of the cohort, as its batches are drawn from it.
        for member in members:
            member.set_params(random_state=None, compile=False)
        cohort = CohortNet(**clone(self.estimator).get_params(deep=False))
        cohort.members_ = members
        cohort.fit(X, y, **fit_params)
        for member in members:
            member.__dict__.update(cohort.facts())
            member.set_params(random_state=self.estimator.random_state)
        self.students_, self.student_ = members, members[0]
        self.history_ = cohort.history_


class Cohort(torch.nn.Module):
    """Networks side by side: gives the logits of each, as a tuple."""

    def __init__(self, students: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.students = torch.nn.ModuleList(students)

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        r"""Return the logits of each student.

        Parameters
        ----------
        \*args, \*\*kwargs
            What each of the students takes.

        Returns
        -------
        tuple of Tensor of shape (n, n_classes)
        """
        return tuple(
            first_tensor(student(*cast_floats(args, student), **kwargs))
            for student in self.students
        )


class CohortNet(DistilledClassifier):
    """The estimator of a cohort: its loss is the sum over the students."""

    # The students, to be built with this net; not a parameter.
    members_: Sequence[DistilledClassifier] = ()

    def facts(self) -> dict[str, Any]:
        """Return what a student has to know of the fit, as far as it is known."""
        return {name: vars(self)[name] for name in _FACTS if name in vars(self)}

    def initialize_module(self) -> Any:
        """Build every student, and the cohort of them."""
        for member in self.members_:
            member.__dict__.update(self.facts())
            member.initialize()
        self.module_ = Cohort([member.module_ for member in self.members_])
        return self

    def get_all_learnable_params(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yield all parameters, each with its name in the student's own network.

        Yields
        ------
        name : str
            Not unique. Patterns that were written for one student then find it.
        parameter : Parameter
        """
        for name, parameter in super().get_all_learnable_params():
            yield _OF_COHORT.sub(r"\1", name), parameter

    def _check_teacher(self, needs: frozenset[str], **kwargs: Any) -> None:
        """Need none, not even for unlabelled rows: the others teach these."""
        if needs != {"logits"}:
            raise ValueError(
                f"distillation={self.distillation!r} needs "
                f"{', '.join(sorted(needs)) or 'nothing'} of a teacher, and in mutual "
                "learning the others give logits: use a loss of logits, such as 'kd'."
            )

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Return the sum of the students' losses, or the criterion of the first.

        Parameters
        ----------
        y_pred : tuple of Tensor of shape (n, n_classes)
        y_true : Tensor of shape (n,), int64
        X : object, default=None
            The batch's inputs.
        training : bool, default=False

        Returns
        -------
        Tensor of shape ()
        """
        if not training:
            return super().get_loss(y_pred[0], y_true, X=X, training=False)
        inputs, beside = split_inputs(X)
        said = [self._as_teacher(outputs) for outputs in y_pred]
        total = torch.zeros((), device=y_pred[0].device)
        for k, own in enumerate(y_pred):
            others = said[:k] + said[k + 1 :]
            for logits in others:
                batch = {**beside, INPUT: inputs, TEACHER_LOGITS: logits}
                loss = super().get_loss(own, y_true, X=batch, training=True)
                # The labels' term is the same each time: its mean is itself.
                total = total + loss / len(others)
        return total

    def _as_teacher(self, outputs: torch.Tensor) -> torch.Tensor:
        is_nll = isinstance(uncompiled(self.criterion_), torch.nn.NLLLoss)
        return (log_probabilities(outputs) if is_nll else outputs).detach()


def _settings(students: Any) -> Sequence[Mapping[str, Any]]:
    """Return what sets each student apart, an empty dict where nothing does."""
    if isinstance(students, Integral):
        check_count("students", students, 2)
        return [{}] * int(students)
    check_settings("students", students)
    if len(students) < 2:
        raise ValueError(f"students={students!r}: expected two or more to teach.")
    names = [name for given in students for name in given]
    shared = sorted({name for name in names if not name.startswith("module")})
    if shared:
        raise ValueError(
            f"students sets {', '.join(shared)}, and they are trained together: set it "
            "on the estimator, only module and module__* differ."
        )
    return students


def _check_no_teacher(estimator: DistilledClassifier, given: dict[str, Any]) -> None:
    if estimator.teacher is not None or given:
        found = ", ".join(given) or "estimator.teacher"
        raise ValueError(
            f"{found}: in mutual learning the students teach each other, and nobody "
            "else does. Leave it out; for a teacher take a DistilledClassifier alone, "
            "DistilledEnsemble or BornAgain."
        )
    if type(estimator) is not DistilledClassifier:
        raise TypeError(
            f"estimator is a {type(estimator).__name__}, expected DistilledClassifier "
            "itself: what a subclass changes of the training would not be heard."
        )
