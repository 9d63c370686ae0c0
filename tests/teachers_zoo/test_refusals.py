"""What teachers of the libraries are refused for, in a sentence."""

import numpy as np
import pytest
import torch
from zoo_case import ZOO

from skkd.teachers import as_teacher

pytestmark = ZOO
IMAGES = np.random.default_rng(0).random((6, 3, 32, 32), dtype="float32")


def test_a_network_of_timm_without_a_head():
    import timm

    model = timm.create_model("test_resnet", num_classes=0).eval()
    with pytest.raises(ValueError, match=r"shape \(6, \d+\).*expected \(6, 3"):
        as_teacher(model).logits(IMAGES, [0, 1, 2])


def test_floats_that_an_image_processor_would_divide_again():
    from transformers import ViTImageProcessor

    size = {"height": 32, "width": 32}
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 3)
    ).eval()
    teacher = as_teacher(net, transform=ViTImageProcessor(size=size))
    with pytest.raises(ValueError, match=r"divides images by 255.*do_rescale=False"):
        teacher.logits(IMAGES, [0, 1, 2])
    processor = ViTImageProcessor(size=size, do_rescale=False)  # the remedy
    got = as_teacher(net, transform=processor).logits(IMAGES, [0, 1, 2])
    expected = teacher.logits(np.round(255 * IMAGES).astype("uint8"), [0, 1, 2])
    np.testing.assert_allclose(got, expected, atol=0.05)
