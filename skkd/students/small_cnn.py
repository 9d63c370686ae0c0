"""A small convolutional network, the default student of images."""

from collections.abc import Sequence

from torch import Tensor, nn

from skkd.students._checks import check_count, check_dropout, check_image
from skkd.students.standardize import Standardize


class SmallCNN(nn.Module):
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
        Share of the pooled features dropped in training.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Each stage has two convolutions, each with batch normalisation and ReLU; 2x2
    max-pooling stands between them. Losses on features name the stages ``body.0``,
    ``body.2`` and ``body.4``. For ten classes of RGB images there are 4,854 parameters
    at ``width=4``, 72,954 at 16 and 1,148,874 at 64.

    Batch normalisation lets the rows of a training batch influence each other. It
    cannot train on a single row of an image of at most 4x4 pixels, which has one pixel
    left in the last stage: PyTorch then raises ``ValueError``.

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
        super().__init__()
        n_classes = check_count("n_classes", n_classes)
        n_channels = check_image(input_shape)[0]
        width = check_count("width", width)
        dropout = check_dropout(dropout)

        self.standardize = Standardize(input_shape)
        self.body = nn.Sequential(
            _stage(n_channels, width),
            # Rounding up keeps at least one pixel of the smallest images.
            nn.MaxPool2d(2, ceil_mode=True),
            _stage(width, 2 * width),
            nn.MaxPool2d(2, ceil_mode=True),
            _stage(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        if dropout:
            self.body.append(nn.Dropout(dropout))
        self.head = nn.Linear(4 * width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Any dtype. Height and width may differ from ``input_shape``.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        return self.head(self.body(self.standardize(x)))


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
