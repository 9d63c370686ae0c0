"""Files of weights as others publish them, with random content."""

import re

import torch
from torch import nn

from skkd.students import EfficientNetLite


def write_efficientnet_lite(path, name="efficientnet_lite0", n_classes=None):
    """Write the weights of a new network under the names of the public files."""
    torch.manual_seed(0)
    network = EfficientNetLite(n_classes, name=name)
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:  # of these images, without which the values would vanish
            norm.momentum = None
        network(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    state = {
        _public_name(key): value
        for key, value in network.state_dict().items()
        if not key.startswith("standardize.")
    }
    torch.save(state, path)
    return network.eval()


def _public_name(key):
    key = re.sub(r"^head\.", "fc.", key).removeprefix("backbone.")
    # All names of layers begin with an underscore, those of parameters do not.
    layers = r"(^|\.)(blocks|conv_stem|conv_head|fc|bn\d|\w+_conv)(?=\.)"
    return re.sub(layers, r"\1_\2", key)
