"""Augmentation of batches of images: tensor to tensor, each row by its own seed.

Student and teacher are to see the very same view of an image, which is what makes
distillation by many views work (Beyer et al., "Knowledge distillation: A good teacher
is patient and consistent", CVPR 2022, section 3.1, https://arxiv.org/abs/2106.05237).
A view that is a function of the image and one number can be shown to both, and again.
"""

from skkd.augment._base import Augmentation
from skkd.augment._seeds import uniform
from skkd.augment.affine import Affine
from skkd.augment.color_jitter import ColorJitter
from skkd.augment.compose import Compose
from skkd.augment.cutout import Cutout
from skkd.augment.flip import Flip
from skkd.augment.mixup import Mixup
from skkd.augment.shift_crop import ShiftCrop

__all__ = [
    "Affine",
    "Augmentation",
    "ColorJitter",
    "Compose",
    "Cutout",
    "Flip",
    "Mixup",
    "ShiftCrop",
    "uniform",
]
