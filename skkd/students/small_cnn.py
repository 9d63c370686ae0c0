"""A small convolutional network, the default student for images."""

from collections import OrderedDict
from collections.abc import Sequence
from numbers import Integral

from torch import nn

from skkd._utils.checks import check_number
from skkd.students.standardize import Standardize, check_image_shape


class SmallCNN(nn.Sequential):
    """Standardise, three stages of 3x3 convolutions, global average pooling, Linear.

    Parameters
    ----------
    n_classes : int
        Number of logits.
    input_shape : tuple of int
        Shape of one image, ``(C, H, W)``, without the batch axis. Any height and
        width.
    width : int, default=16
        Channels of the first stage; the next two have two and four times as many.
    dropout : float, default=0.0
        Fraction of the pooled features that is set to zero in training.

    Attributes
    ----------
    config : dict of str to object
        The arguments that it was built with.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Each stage has two convolutions, each with batch normalisation and ReLU; 2x2
    max-pooling stands between them. The parts are `standardize`, `body` and `head`;
    losses on features name the stages ``body.0``, ``body.2`` and ``body.4``. For ten
    classes of RGB images there are 4,854 parameters at ``width=4``, 72,954 at 16 and
    1,148,874 at 64.

    Batch normalisation lets the samples of a training batch influence each other. It
    cannot train on a batch of one image of at most 4x4 pixels, which has one pixel left
    in the last stage: PyTorch then raises ``ValueError``.

    Examples
    --------
    >>> import torch
    >>> from skkd.students import SmallCNN
    >>> student = SmallCNN(n_classes=10, input_shape=(3, 32, 32))
    >>> student(torch.zeros(5, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        n_classes: int,
        input_shape: Sequence[int],
        width: int = 16,
        dropout: float = 0.0,
    ) -> None:
        n_channels = check_image_shape(input_shape)[0]
        check_number("n_classes", n_classes, Integral, low=1)
        check_number("width", width, Integral, low=1)
        hint = "It is the fraction of features set to zero; 0 switches it off."
        check_number("dropout", dropout, low=0, high=1, high_inclusive=False, hint=hint)
        width = int(width)

        standardize = Standardize(input_shape)
        body = nn.Sequential(
            _stage(n_channels, width),
            # Rounding up keeps at least one pixel of the smallest images.
            nn.MaxPool2d(2, ceil_mode=True),
            _stage(width, 2 * width),
            nn.MaxPool2d(2, ceil_mode=True),
            _stage(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            *([nn.Dropout(float(dropout))] if dropout else []),
        )
        head = nn.Linear(4 * width, int(n_classes))
        super().__init__(OrderedDict(standardize=standardize, body=body, head=head))
        self.config = {
            "n_classes": int(n_classes),
            "input_shape": standardize.input_shape,
            "width": width,
            "dropout": float(dropout),
        }


def _stage(n_in: int, n_out: int) -> nn.Sequential:
    """Two 3x3 convolutions that keep height and width."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )
