"""Several losses at once."""

from collections.abc import Iterable, Sequence
from typing import Any

from sklearn.utils.metaestimators import _BaseComposition
from torch import Tensor

from skkd._utils.checks import is_number
from skkd.losses._base import DistillationLoss
from skkd.losses._registry import flatten, named_params, needs_of, resolve, resolve_deep


class WeightedSum(DistillationLoss, _BaseComposition):
    r"""Several losses, each times its weight, added.

    .. math:: \ell = \sum_i w_i \, \ell_i

    Parameters
    ----------
    losses : list of (str, loss)
        Names of your choice, and losses: a name such as ``"kd"``, an object of
        :mod:`skkd.losses` or a callable. As in scikit-learn's ``FeatureUnion`` the
        parameters of a part are set as ``name__*``, and ``name`` replaces it.
    weights : sequence of float or None, default=None
        One for each loss; None is 1 for each. A loss of weight 0 is not computed.

    Notes
    -----
    It gives one loss for each sample if all of its parts do, else one for the batch, to
    which parts that give a loss for each sample add their mean. A :class:`FeatureLoss`
    may be a part if the sum is passed as ``DistilledClassifier(distillation=...)``.

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import DKD, WeightedSum
    >>> loss = WeightedSum([("kd", "kd"), ("dkd", DKD())], weights=[1, 0.5])
    >>> loss.set_params(dkd__beta=2.0)
    WeightedSum(losses=[('kd', 'kd'), ('dkd', DKD(beta=2.0))], weights=[1, 0.5])
    >>> student = torch.tensor([[2.0, 0.0, 0.0]])
    >>> teacher = torch.tensor([[2.0, 1.0, 0.0]])
    >>> loss(student, teacher, torch.tensor([0]), temperature=1.0)
    tensor([0.2074])
    """

    def __init__(
        self, losses: list[tuple[str, Any]], weights: Sequence[float] | None = None
    ) -> None:
        self.losses = losses
        self.weights = weights

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """What the parts need, as :func:`needs_of` says."""
        return needs_of(self)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        params = self._get_params("losses", deep=deep)
        if not deep:
            return params
        named = [named_params(name, loss) for name, loss in _pairs(self.losses)]
        return {key: value for part in named for key, value in part.items()} | params

    def set_params(self, **params: Any) -> "WeightedSum":
        self.losses = params.pop("losses", self.losses)
        nested = {key.partition("__")[0] for key in params if "__" in key}
        for name, loss in _pairs(self.losses):
            loss = params.get(name, loss)
            if name in nested and isinstance(loss, str):
                params[name] = resolve(loss)  # a name has no parameters
        return self._set_params("losses", **params)

    def check(self) -> None:
        for _, part in self.weighted_parts():
            if isinstance(part, DistillationLoss):
                part.check()

    def weighted_parts(self) -> list[tuple[float, Any]]:
        """Return the parts, and the parts of sums among them, without weights of 0."""
        _check_pairs(self)
        weights = _checked_weights(self)
        parts = [flatten(part) for _, part in self.losses]
        return [
            (weight * inner, part)
            for weight, members in zip(weights, parts, strict=True)
            for inner, part in members
            if weight != 0
        ]

    def resolve_names(self) -> None:
        self.losses = [(name, resolve_deep(part)) for name, part in self.losses]

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        values = []
        for weight, part in self.weighted_parts():
            value = part(student_logits, teacher_logits, y, temperature)
            if value.shape not in ((), (len(student_logits),)):
                raise ValueError(
                    f"{part!r} gives a loss of shape {tuple(value.shape)}, expected "
                    f"({len(student_logits)},), one for each sample, or a "
                    "scalar: sum over the classes."
                )
            values.append(weight * value)
        if not all(value.ndim for value in values):
            values = [value.mean() for value in values]
        return sum(values[1:], values[0])


def _pairs(losses: Any) -> Iterable[tuple[str, Any]]:
    """Return the pairs among what was given; :func:`_check_pairs` refuses the rest."""
    if not isinstance(losses, list):
        return []
    return [pair for pair in losses if isinstance(pair, tuple) and len(pair) == 2]


def _check_pairs(loss: WeightedSum) -> None:
    losses = loss.losses
    names = [name for name, _ in _pairs(losses)]
    texts = all(isinstance(name, str) for name in names)
    if not names or len(names) != len(losses) or not texts:
        raise ValueError(
            f"Got losses={losses!r} for WeightedSum; expected a list of pairs of a "
            "name and a loss, such as [('kd', 'kd'), ('mse', LogitMSE())]."
        )
    taken = [name for name in names if name in ("losses", "weights") or "__" in name]
    if taken or len(set(names)) < len(names):
        raise ValueError(
            f"Got the names {names!r} for the losses of WeightedSum; expected each "
            "once, without '__', and neither 'losses' nor 'weights'. Rename them."
        )


def _checked_weights(loss: WeightedSum) -> list[float]:
    n_losses = len(loss.losses)
    if loss.weights is None:
        return [1.0] * n_losses
    weights = list(loss.weights) if hasattr(loss.weights, "__len__") else []
    fine = len(weights) == n_losses and all(map(is_number, weights))
    if not fine or not any(weights):
        raise ValueError(
            f"Got weights={loss.weights!r} for a WeightedSum of {n_losses} losses; "
            "expected None, or a finite number for each, not all of them 0."
        )
    return [float(weight) for weight in weights]
