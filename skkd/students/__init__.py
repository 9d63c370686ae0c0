"""Students: small networks that standardise their own input."""

from collections.abc import Sequence

from torch import nn

from skkd.students.cifar_resnet import CifarResNet, load_cifar_resnet
from skkd.students.efficientnet_lite import EfficientNetLite
from skkd.students.mlp import MLP
from skkd.students.small_cnn import SmallCNN
from skkd.students.standardize import Standardize
from skkd.students.table_mlp import TableMLP
from skkd.students.torchvision_model import TorchvisionModel, torchvision_model

__all__ = [
    "MLP",
    "CifarResNet",
    "EfficientNetLite",
    "SmallCNN",
    "Standardize",
    "TableMLP",
    "TorchvisionModel",
    "default_student",
    "load_cifar_resnet",
    "torchvision_model",
]


def default_student(input_shape: Sequence[int]) -> type[nn.Module]:
    """Choose the class of student by the shape of one sample.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample, without the batch axis.

    Returns
    -------
    type
        :class:`MLP` for ``(n_features,)``, :class:`SmallCNN` for ``(C, H, W)``.

    Raises
    ------
    ValueError
        For any other number of axes, or if the channels seem to come last.

    Examples
    --------
    >>> from skkd.students import default_student
    >>> default_student((20,)).__name__, default_student((3, 32, 32)).__name__
    ('MLP', 'SmallCNN')
    """
    if len(input_shape) == 3 and input_shape[2] in (1, 3, 4) and input_shape[0] > 4:
        raise ValueError(
            f"Got images of shape {tuple(input_shape)}, which look like (H, W, C); "
            "expected (C, H, W). Pass X.transpose(0, 3, 1, 2), or module=SmallCNN if "
            f"they really have {input_shape[0]} channels."
        )
    students: dict[int, type[nn.Module]] = {1: MLP, 3: SmallCNN}
    if len(input_shape) not in students:
        got = ", ".join(map(str, ("n", *input_shape)))
        raise ValueError(
            f"Got X of shape ({got}); expected (n, n_features) or (n, C, H, W). For "
            "gray images add a channel axis with X[:, None], or pass module=."
        )
    return students[len(input_shape)]
