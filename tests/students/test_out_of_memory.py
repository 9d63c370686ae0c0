"""Exhausted memory is reported as what it is, not as a wrong size, layer or file."""

import itertools

import pytest
import torch
from torchvision.models import MobileNet_V2_Weights

from skkd.students import CifarResNet, _torchvision, load_cifar_resnet
from skkd.students import torchvision_model as build


def exhausted(*args, **kwargs):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(CifarResNet(2, (3, 8, 8), depth=8).state_dict(), path)
    return path


def test_out_of_memory_while_the_size_of_images_is_checked(monkeypatch):
    monkeypatch.setattr(torch.func, "functional_call", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        build("mobilenet_v3_small", 2, (3, 32, 32))


@pytest.mark.parametrize("n_calls", [0, 1], ids=["whole", "layers"])
def test_out_of_memory_while_the_first_layers_are_run(monkeypatch, n_calls):
    """The layer is run once in the whole network, and once in the chain of layers."""
    forward, calls = torch.nn.Conv2d.forward, itertools.count()

    def spy(self, x):
        return forward(self, x) if next(calls) < n_calls else exhausted()

    monkeypatch.setattr(torch.nn.Conv2d, "forward", spy)
    with pytest.raises(torch.OutOfMemoryError):
        build("alexnet", 2, (3, 64, 64), last_layer="features.0")


def test_out_of_memory_while_weights_are_set(monkeypatch, file):
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        load_cifar_resnet(file)
    with pytest.raises(torch.OutOfMemoryError):
        _torchvision.load_strictly("alexnet", torch.nn.Linear(2, 2), {}, "a file")


def test_out_of_memory_while_weights_are_read(monkeypatch, file):
    monkeypatch.setattr(torch, "load", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        load_cifar_resnet(file)
    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        build("mobilenet_v2", weights="DEFAULT")
