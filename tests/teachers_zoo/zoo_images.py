"""Image classifiers of transformers, timm and torchvision, with random weights."""

import numpy as np
import torch
from zoo_case import change_a_parameter, of_images, trained

from skkd.teachers import as_teacher


def vit(X, y):
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        **dict.fromkeys(("hidden_size", "intermediate_size"), 24),
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        num_labels=len(set(y)),
    )
    return trained(ViTForImageClassification(config), X, y)


def resnet_with_processor(X, y):
    from transformers import ResNetConfig, ResNetForImageClassification
    from transformers import ViTImageProcessor as Processor

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8], depths=[1], num_labels=len(set(y))
    )
    processor = Processor(
        size={"height": 24, "width": 24}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    inputs = processor(torch.as_tensor(X), return_tensors="pt")["pixel_values"]
    model = trained(ResNetForImageClassification(config), inputs.numpy(), y)
    return as_teacher(model, transform=processor)


def change_the_model(teacher):
    change_a_parameter(teacher.teacher.model)


def deit_of_timm(X, y):
    import timm

    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1}
    model = timm.create_model(
        "deit_tiny_distilled_patch16_224", num_classes=3, num_heads=2, **sizes
    )
    return trained(model, X, y)


def resnet_of_timm(X, y):
    import timm

    torch.manual_seed(0)
    return trained(timm.create_model("test_resnet", num_classes=3), X, y)


def auxiliary_heads_of_torchvision(X, y):
    from torchvision.models import GoogLeNet

    torch.manual_seed(0)
    return trained(GoogLeNet(num_classes=3, init_weights=False), X, y, steps=5)


def in_bytes(cases):
    """Return the cases with images of 0..255, as an image processor expects them."""
    for case in cases:
        object.__setattr__(case, "X", (255 * case.X).astype(np.uint8))
    return cases


CASES = [
    *of_images("transformers-vit", vit, change=change_a_parameter),
    *in_bytes(
        of_images(
            "transformers-processor", resnet_with_processor, change=change_the_model
        )
    ),
    *of_images("timm-deit", deit_of_timm, change=change_a_parameter),
    *of_images("timm-resnet", resnet_of_timm, change=change_a_parameter),
    *of_images(
        "torchvision-auxiliary",
        auxiliary_heads_of_torchvision,
        change=change_a_parameter,
    ),
]
