"""Students: small networks that standardise their own input."""

from collections.abc import Sequence

from torch import nn

from skkd.students.mlp import MLP
from skkd.students.small_cnn import SmallCNN
from skkd.students.standardize import Standardize

__all__ = ["MLP", "SmallCNN", "Standardize", "default_student"]


def default_student(input_shape: Sequence[int]) -> type[nn.Module]:
    """Choose the class of student by the shape of one row.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row, without the batch axis.

    Returns
    -------
    type
        :class:`MLP` for ``(n_features,)``, :class:`SmallCNN` for ``(C, H, W)``.

    Raises
    ------
    ValueError
        For any other number of axes.

    Examples
    --------
    >>> from skkd.students import default_student
    >>> default_student((20,)).__name__, default_student((3, 32, 32)).__name__
    ('MLP', 'SmallCNN')
    """
    students: dict[int, type[nn.Module]] = {1: MLP, 3: SmallCNN}
    if len(input_shape) not in students:
        got = ", ".join(map(str, ("n", *input_shape)))
        raise ValueError(
            f"Got X of shape ({got}); expected (n, n_features) or (n, C, H, W). For "
            "gray images add a channel axis with X[:, None], or pass module=."
        )
    return students[len(input_shape)]
