"""Image processors of transformers as the transform of a teacher."""

from __future__ import annotations

from typing import Any

import torch


def is_image_processor(transform: Any) -> bool:
    """Tell whether `transform` is an image processor of transformers."""
    names = [f"{base.__module__}.{base.__name__}" for base in type(transform).__mro__]
    return "transformers.image_processing_base.ImageProcessingMixin" in names


def process(processor: Any, images: torch.Tensor) -> torch.Tensor:
    """Return what a model of transformers takes, of images (n, C, H, W).

    Raises
    ------
    ValueError
        If the images are on the scale 0..1 already, and would be divided by 255.
    """
    rescales = getattr(processor, "do_rescale", False)
    if rescales and images.is_floating_point() and images.amax() <= 1:
        raise ValueError(
            f"it divides images by {1 / processor.rescale_factor:g}, and these are "
            f"floats up to {images.amax():.3g}. Pass uint8 images, or make the "
            "processor with do_rescale=False"
        )
    out = processor(images, return_tensors="pt", input_data_format="channels_first")
    return out["pixel_values"]
