"""Augmentation of batches of images: tensor to tensor, each image by its own seed.

Student and teacher should see exactly the same view of an image, which is what makes
distillation with many views work (Beyer et al., "Knowledge distillation: A good teacher
is patient and consistent", CVPR 2022, section 3.1, https://arxiv.org/abs/2106.05237).
A view is a function of the image and one number, so that it can be repeated.

Classes with names of torchvision's classes do nearly the same, to a batch: each image
gets random numbers of its own. Parameters differ where the docstrings say so.
"""

from skkd.augment._base import Augmentation
from skkd.augment._seeds import uniform
from skkd.augment.color_jitter import ColorJitter
from skkd.augment.compose import Compose
from skkd.augment.mixup import Mixup
from skkd.augment.random_affine import RandomAffine
from skkd.augment.random_crop import RandomCrop
from skkd.augment.random_erasing import RandomErasing
from skkd.augment.random_horizontal_flip import RandomHorizontalFlip

__all__ = [
    "Augmentation",
    "ColorJitter",
    "Compose",
    "Mixup",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "uniform",
]
