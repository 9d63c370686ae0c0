"""A backbone that stays as it is while the rest of a network is trained."""

from __future__ import annotations

from typing import Self

from torch import nn


class FrozenBackbone(nn.Module):
    """A network whose ``backbone`` is not trained where ``frozen`` says so."""

    backbone: nn.Module
    frozen: bool

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts; a frozen backbone stays in eval mode.

        Parameters
        ----------
        mode : bool, default=True
            Whether to train.

        Returns
        -------
        nn.Module
            The module itself.
        """
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self
