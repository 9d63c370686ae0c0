"""CifarResNet: an oracle of one block, public weights, layouts, mistakes."""

import io
import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from torch.nn.functional import conv2d

from skkd import DistilledClassifier
from skkd.students import CifarResNet, SmallCNN, load_cifar_resnet

COUNTS = {8: 75_290, 20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018}


def images(n, shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, 256, size=(n, *shape), dtype=np.uint8))


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def adapted(shape=(3, 9, 8), n_classes=3, **params):
    """A small network that has seen data: statistics of all kinds are not trivial."""
    student, x = (
        CifarResNet(n_classes, shape, depth=8, width=4, **params),
        images(9, shape),
    )
    student.standardize.adapt([(x, None)])
    student(x)
    return student, x


def saved(content, folder):
    torch.save(content, folder / "weights.pt")
    return folder / "weights.pt"


# --- the network --------------------------------------------------------------------


@pytest.mark.parametrize("depth", COUNTS)
def test_parameter_counts(depth):
    assert n_parameters(CifarResNet(10, (3, 32, 32), depth=depth)) == COUNTS[depth]


@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(3, 3, 1), (4, 8, 2), (3, 6, 2)])
def test_a_block_by_value(n_in, n_out, stride):
    student = CifarResNet(2, (1, 8, 8), depth=8, width=n_in)
    block = (student.layer1 if stride == 1 else student.layer2)[0].double().eval()
    for module in (block.bn1, block.bn2):
        torch.nn.init.uniform_(module.weight)
        torch.nn.init.uniform_(module.bias)
        module.running_mean.uniform_()
        module.running_var.uniform_(0.5, 2)
    x = torch.rand(2, n_in, 7, 6, dtype=torch.float64)

    def norm(values, m):
        scale = m.weight / torch.sqrt(m.running_var + m.eps)
        return (values - m.running_mean[:, None, None]) * scale[:, None, None] + (
            m.bias[:, None, None]
        )

    out = conv2d(x, block.conv1.weight, stride=stride, padding=1)
    out = norm(out, block.bn1).clamp(min=0)
    out = norm(conv2d(out, block.conv2.weight, padding=1), block.bn2)
    shortcut = torch.zeros_like(out)
    first = (n_out - n_in) // 2
    for i in range(n_in):
        shortcut[:, first + i] = x[:, i, ::stride, ::stride]
    torch.testing.assert_close(block(x), (out + shortcut).clamp(min=0))


def test_the_network_is_its_parts():
    student, x = adapted()
    student.eval()
    out = student.bn1(student.conv1(student.standardize(x))).clamp(min=0)
    for stage in (student.layer1, student.layer2, student.layer3):
        out = stage(out)
    expected = student.linear(out.flatten(2).mean(dim=2))
    torch.testing.assert_close(student(x), expected)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 4, 4), (3, 2, 9), (4, 17, 5), (1, 28, 28), (3, 32, 32)]
)
def test_takes_any_size(shape):
    student = CifarResNet(2, shape, depth=8, width=3)
    logits = student(images(3, shape))
    assert logits.shape == (3, 2)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("training", [False, True])
def test_channels_last_changes_nothing(training):
    student, x = adapted()
    student.train(training)
    expected = student(x)
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(student(last), expected)
    student.to(memory_format=torch.channels_last)
    torch.testing.assert_close(student(last), expected)
    student(last.float()).sum().backward()


def test_training_mode_and_eval_mode():
    student, x = adapted()
    mean = student.bn1.running_mean.clone()
    student.eval()
    torch.testing.assert_close(student(x)[:1], student(x[:1]))
    assert torch.equal(student.bn1.running_mean, mean)
    student.train()
    student(x)
    assert not torch.equal(student.bn1.running_mean, mean)


def test_gradient_reaches_all_parameters():
    student, x = adapted()
    target = torch.arange(9) % 3
    torch.nn.functional.cross_entropy(student(x), target).backward()
    for name, parameter in student.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_uint8_equals_float():
    student, x = adapted()
    student.eval()
    assert torch.equal(student(x), student(x.float()))


def test_round_trip_and_export():
    student, x = adapted()
    student.eval()
    assert torch.equal(pickle.loads(pickle.dumps(student))(x), student(x))
    n = torch.export.Dim("n")
    program = torch.export.export(student, (x,), dynamic_shapes=({0: n},))
    more = images(4, (3, 9, 8), seed=1)
    torch.testing.assert_close(program.module()(more), student(more))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"depth": 18},
            r"depth=18: expected 6 n \+ 2 with n of at least 1. Common",
        ),
        ({"depth": 2}, r"depth=2: expected 6 n"),
        ({"depth": 20.0}, "depth=20.0: expected an int"),
        ({"depth": 0}, "depth=0: expected an int of at least 1"),
        ({"width": 0}, "width=0: expected an int of at least 1"),
        ({"n_classes": 0}, "n_classes=0"),
        ({"input_shape": (7,)}, r"input_shape=\(7,\): expected \(C, H, W\)"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        CifarResNet(**{"n_classes": 2, "input_shape": (1, 8, 8), **arguments})


def test_it_is_built_by_the_estimator():
    x, y = images(24, (1, 8, 8)).numpy(), np.array(["a", "b", "c"] * 8)
    student = DistilledClassifier(
        CifarResNet, module__depth=8, module__width=4, max_epochs=2, random_state=0
    )
    proba = student.fit(x, y).predict_proba(x)
    assert proba.shape == (24, 3)
    assert len(student.module_.layer1) == 1
    assert student.module_.standardize.adapted
    np.testing.assert_array_equal(clone(student).fit(x, y).predict_proba(x), proba)


# --- weights from a file ------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_own_weights_come_back(wrapped, tmp_path):
    student, x = adapted()
    weights = student.eval().state_dict()
    if wrapped:  # as torch.nn.DataParallel and training scripts do
        weights = {f"module.{key}": value for key, value in weights.items()}
        weights = {"epoch": 3, "state_dict": weights}
    loaded = load_cifar_resnet(saved(weights, tmp_path))
    assert not loaded.training
    assert torch.equal(loaded(x), student(x))


def test_weights_without_scaling_are_taken_for_imagenet(tmp_path):
    weights = CifarResNet(5, (3, 32, 32), depth=14, width=2).state_dict()
    weights = {k: v for k, v in weights.items() if not k.startswith("standardize.")}
    loaded = load_cifar_resnet(str(saved(weights, tmp_path)))
    assert loaded.standardize.adapted
    x = images(2, (3, 32, 32))
    mean = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    expected = (x.numpy() / 255 - mean) / std
    np.testing.assert_allclose(loaded.standardize(x).numpy(), expected, atol=1e-6)
    assert (len(loaded.layer1), loaded.linear.out_features) == (2, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            SmallCNN(10, (3, 32, 32)).state_dict(),
            r"not those of a CifarResNet \('conv1",
        ),
        ({}, "not those of a CifarResNet"),
        ([1, 2], "holds no state dict; expected a mapping"),
        ({"state_dict": 3}, "holds no state dict"),
        ({"lr": 0.1}, "holds no state dict"),
        (torch.zeros(3), "holds no state dict"),
        (SmallCNN(2, (3, 8, 8)), "no file of tensors; .* save module.state_dict"),
    ],
    ids=["another", "empty", "list", "number", "no tensors", "tensor", "module"],
)
def test_other_content_is_refused(content, message, tmp_path):
    path = saved(content, tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_cifar_resnet(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("change", ["shortcut", "gray", "block", "shape"])
def test_other_networks_are_refused(change, tmp_path):
    channels = 1 if change == "gray" else 3
    weights = dict(CifarResNet(2, (channels, 8, 8), depth=14, width=2).state_dict())
    if change == "shortcut":
        weights["layer2.0.shortcut.0.weight"] = torch.zeros(4, 2, 1, 1)
    if change == "gray":
        weights = {k: v for k, v in weights.items() if not k.startswith("standardize.")}
    if change == "block":
        weights = {k: v for k, v in weights.items() if not k.startswith("layer3.1.")}
    if change == "shape":
        weights["layer3.1.conv1.weight"] = torch.zeros(1)
    words = {
        "gray": "standardize.mean",
        "shortcut": "Unexpected key",
        "block": "Missing",
    }
    with pytest.raises(ValueError, match=words.get(change, "size mismatch")):
        load_cifar_resnet(saved(weights, tmp_path))


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\x03\x04 cut"])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "resnet20.th"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no file of tensors; .* Download it again"):
        load_cifar_resnet(path)


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_cifar_resnet(tmp_path / "absent.th")


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("resnet20-12fca82f.th", 20),
        ("resnet32-d509ac18.th", 32),
        ("resnet44-014dd654.th", 44),
        ("resnet56-4bfd9763.th", 56),
        ("resnet56-cifar10jpeg-8977.pt", 56),
    ],
)
def test_public_weights(real_data, name, depth):
    teacher = load_cifar_resnet(real_data / "weights" / name)
    assert n_parameters(teacher) == COUNTS[depth]
    assert not teacher.training
    assert teacher.standardize.adapted


def test_a_public_network_recognises_images(real_data):
    X, y = every_fiftieth_test_image(real_data / "cifar10_jpeg.tar.xz")
    assert np.bincount(y).tolist() == [20] * 10
    teacher = load_cifar_resnet(real_data / "weights" / "resnet56-cifar10jpeg-8977.pt")
    with torch.inference_mode():
        predicted = teacher(X).argmax(dim=1).numpy()
    # 0.895 of these, 0.8981 of all 10,000; decoders of JPEG differ a little.
    assert (predicted == y).mean() > 0.87


def every_fiftieth_test_image(archive):
    """Images, uint8 (200, 3, 32, 32), and numbers of classes in alphabetical order."""
    pixels, names = [], []
    # The test set comes first, and a stream need not unpack the rest.
    with tarfile.open(archive, "r|xz") as members:
        for member in members:
            if not member.name.startswith("test/"):
                break
            folder, number = member.name.removesuffix(".jpg").split("/")[1:]
            if int(number) % 50 == 0:
                image = Image.open(io.BytesIO(members.extractfile(member).read()))
                pixels.append(np.asarray(image).transpose(2, 0, 1))
                names.append(folder)
    return torch.from_numpy(np.stack(pixels)), np.unique(names, return_inverse=True)[1]
