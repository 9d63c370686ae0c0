"""torchvision's own networks, to compare with."""

import io
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision import models

SMALL = "shufflenet_v2_x0_5"
# The smallest of each family, but for those of `REAL`.
FAMILIES = [
    *("alexnet", "convnext_tiny", "efficientnet_b0", "efficientnet_v2_s", "googlenet"),
    *("inception_v3", "maxvit_t", "resnext50_32x4d", "swin_t", "swin_v2_t"),
    *("vgg11", "vgg11_bn", "vit_b_16", "wide_resnet50_2"),
]
# Those that are built and run within moments.
REAL = [
    *("densenet121", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "resnet18"),
    *("regnet_y_400mf", "shufflenet_v2_x0_5", "squeezenet1_1"),
]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def images(n, shape=(3, 32, 32), seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, 256, size=(n, *shape), dtype=np.uint8))


def original(name, seed=0, **options):
    """One of torchvision's networks, in eval mode, with logits that tell rows apart."""
    torch.manual_seed(seed)
    model = models.get_model(name, **options).train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # all of what it sees
    with torch.no_grad():
        model(torch.randn(8, 3, 64, 64))
    return model.eval()


def saved(content, folder):
    torch.save(content, folder / "weights.pt")
    return folder / "weights.pt"


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


def maps_of(model, last_layer, x):
    """What a layer gives within the whole network."""
    caught = []
    handle = model.get_submodule(last_layer).register_forward_hook(
        lambda module, inputs, output: caught.append(output.detach().clone())
    )
    with torch.no_grad():
        model(x)
    handle.remove()
    return caught[0]


def read(archive, member, size):
    image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
    return np.asarray(image.resize((size, size))).transpose(2, 0, 1)


@contextmanager
def meta_networks(monkeypatch):
    """Networks of any size, without memory."""
    compute = models.regnet.BlockParams.from_init_params.__func__

    def on_cpu(cls, *args, **kwargs):  # reads numbers off tensors
        with torch.device("cpu"):
            return compute(cls, *args, **kwargs)

    monkeypatch.setattr(
        models.regnet.BlockParams, "from_init_params", classmethod(on_cpu)
    )
    # The slowest part of building a network, and there is nothing to initialise here.
    for name in vars(torch.nn.init):
        if name.endswith("_") and not name.startswith("_"):
            monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
    with torch.device("meta"):
        yield
