"""What every loss on features shares. Think twice before adding to it."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from skkd.losses._base import DistillationLoss, check_finite

# Shapes of a student's and a teacher's layer, without the batch axis.
ShapePair = tuple[tuple[int, ...], tuple[int, ...]]


class FeatureLoss(DistillationLoss):
    """A loss between layers of the student and of the teacher.

    If the two layers differ in shape, the student's goes through an adapter, which is
    trained with the student and dropped after the fit; each call of ``partial_fit``
    starts with a new one. If a callback saves the optimizer during a fit, the adapter
    is in that file too. The layers are read by forward hooks, which are removed when
    the fit ends, even by an exception.

    Subclasses define :meth:`compare`, and :meth:`adapter` if the two layers may differ
    in shape. It is passed as ``DistilledClassifier(distillation=...)``, alone
    or as a part of :class:`~skkd.losses.WeightedSum`.

    Parameters
    ----------
    student_layer, teacher_layer : str, sequence of str or None, default=None
        Names as in ``named_modules()``; several are compared pair by pair, and their
        losses added. None takes the input of the last ``nn.Linear``.
    weight : float, default=1.0
        Factor of the loss.
    cache : bool, default=False
        Whether the teacher's features are cached, as its logits are. They are
        large: with False the teacher runs in every batch.
    """

    needs: ClassVar[str] = "features"

    def __init__(
        self,
        student_layer: str | Sequence[str] | None = None,
        teacher_layer: str | Sequence[str] | None = None,
        *,
        weight: float = 1.0,
        cache: bool = False,
    ) -> None:
        self.student_layer = student_layer
        self.teacher_layer = teacher_layer
        self.weight = weight
        self.cache = cache

    def check(self) -> None:
        """Raise ValueError if a parameter is impossible."""
        check_finite(self, "weight")

    def adapter(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
        """Return a module that gives the student's features the teacher's shape.

        Parameters
        ----------
        student, teacher : tuple of int
            Shapes of the two layers, without the batch axis.

        Returns
        -------
        torch.nn.Module
            By default the identity.

        Raises
        ------
        ValueError
            If the shapes cannot be matched.
        """
        return nn.Identity()

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of one pair of layers, without :attr:`weight`.

        Parameters
        ----------
        student : Tensor of shape (n, ...)
            Output of the adapter; the gradient flows here. Half precision is computed
            in float32.
        teacher : Tensor of shape (n, ...)
            No gradient flows here.

        Returns
        -------
        Tensor of shape (n,), or a scalar for a loss defined over a batch
            In the student's dtype, float32 at least.

        Raises
        ------
        ValueError
            If these shapes cannot be compared.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define compare(student, teacher), which "
            "every FeatureLoss needs."
        )

    def build(self, shapes: Sequence[ShapePair], labels: Tensor) -> nn.Module:
        """Return the module that computes the loss of the batches of one fit.

        Parameters
        ----------
        shapes : sequence of (student, teacher)
            Shapes of each pair of layers, without the batch axis.
        labels : int64 Tensor of shape (n_samples,)
            Column of the class of each training sample, -1 if it is unlabelled.

        Returns
        -------
        torch.nn.Module
            Called as ``module(student, teacher, indices)`` with two lists of features
            and the samples' indices in the training data. One that contrasts samples
            has a method ``set_train_indices(indices)``, called if the others are held
            out for validation.
        """
        return _Comparison(self, [self.adapter(*pair) for pair in shapes])

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Raise TypeError: :meth:`compare` compares features, not logits."""
        raise TypeError(
            f"{type(self).__name__} compares features, and was called with logits. Use "
            "compare(student, teacher), or pass it as distillation=."
        )


class _Comparison(nn.Module):
    """The adapters of a fit, and the loss of their outputs."""

    def __init__(self, loss: FeatureLoss, adapters: Sequence[nn.Module]) -> None:
        super().__init__()
        self.loss = loss
        self.adapters = nn.ModuleList(adapters)

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], indices: Tensor
    ) -> Tensor:
        pairs = zip(self.adapters, student, teacher, strict=True)
        parts = [self.loss.compare(adapt(s), t.detach()) for adapt, s, t in pairs]
        return self.loss.weight * sum(parts[1:], parts[0])
