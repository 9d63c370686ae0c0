"""Damaged, cut, hostile and foreign files: one error, and no gigabytes."""

import json
import struct

import numpy as np
import pytest
import torch
from safe_file_cases import Smooth, Tied, X, Y, fitted
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skkd import DistilledClassifier, load_student, save_student
from skkd._formats.container import STUDENT, pack, unpack
from skkd._safe_file.load import rebuild
from skkd.students import MLP, SmallCNN, TableMLP

save = pytest.importorskip("safetensors.torch").save


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "student.safetensors"
    save_student(fitted(module=MLP, module__hidden=(3,)), path)
    return path.read_bytes()


@pytest.fixture
def refused(tmp_path):
    """Return the error that the bytes of a file lead to."""

    def load(data, **params):
        path = tmp_path / "some.safetensors"
        path.write_bytes(data)
        with pytest.raises(ValueError) as told:
            load_student(path, **params)
        assert str(path) in str(told.value)
        return str(told.value)

    return load


def mutations(data, n):
    """Yield damaged copies: bits, bytes, cuts, copies and lengths."""
    rng = np.random.default_rng(0)
    n_header = struct.unpack("<Q", data[:8])[0] + 8
    for _ in range(n):
        kind, end = rng.integers(6), rng.choice([8, n_header, len(data)])
        new, place = bytearray(data), int(rng.integers(end))
        if kind == 0:
            new[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            new[place] = int(rng.integers(256))
        elif kind == 2:
            del new[place:]
        elif kind == 3:
            del new[place : place + int(rng.integers(1, 40))]
        elif kind == 4:
            new[place:place] = new[place : place + int(rng.integers(1, 40))]
        else:
            more = bytes(rng.integers(0, 256, int(rng.integers(1, 40)), np.uint8))
            new[place : place + len(more)] = more
        yield bytes(new)


def test_mutations_are_refused_or_change_nothing(good):
    expected = rebuild(*unpack(good, "good"), "good").predict_proba(X)
    n_refused = 0
    for data in mutations(good, 3000):
        try:
            content, tensors = unpack(data, "file")
        except ValueError:
            n_refused += 1
            continue
        student = rebuild(content, tensors, "file")
        np.testing.assert_array_equal(student.predict_proba(X), expected)
    assert n_refused > 2500


def nested(content):
    """Yield the dicts and lists within what JSON gave, with their keys."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in [*items]:
        yield content, key
        if isinstance(value, dict | list):
            yield from nested(value)


JUNK = [
    *(None, True, -1, 10**12, 1e300, "", "os.system", "../x", [], {}, [10**9] * 3),
    *({"class": "os.system"}, {"class": "torch.nn.__class__"}, {"array": "answers"}),
    *({"object": "skkd.losses.os", "params": {"dict": []}}, {"float": "x"}),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_content_that_a_stranger_made_up_is_refused_or_answers_alike(good):
    content, tensors = unpack(good, "good")
    text, expected = json.dumps(content), rebuild(content, tensors, "good")
    places = len([*nested(json.loads(text))])
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(400):
        changed = json.loads(text)
        parent, key = [*nested(changed)][int(rng.integers(places))]
        parent[key] = JUNK[int(rng.integers(len(JUNK)))]
        try:
            student = rebuild(changed, tensors, "file")
        except ValueError:
            n_refused += 1
            continue
        student = student[-1] if isinstance(student, Pipeline) else student
        logits = [net.forward(X) for net in (student, expected)]
        torch.testing.assert_close(*logits, rtol=0, atol=0)
    assert n_refused > 150


@pytest.mark.parametrize(
    "config",
    [
        {"hidden": [10**9]},
        {"hidden": [1] * 10**6},
        {"n_classes": 10**11},
        {"input_shape": [10**11]},
    ],
    ids=lambda config: next(iter(config)),
)
def test_sizes_that_do_not_fit_allocate_nothing(good, refused, config):
    content, tensors = unpack(good, "good")
    content["student"]["config"] |= config
    assert "is damaged" in refused(pack(content, tensors))


@pytest.mark.parametrize(
    "builder, config",
    [
        ("CifarResNet", {"depth": 6 * 10**7 + 2, "width": 16}),
        ("CifarResNet", {"depth": 8, "width": 10**8}),
        ("SmallCNN", {"width": 10**8, "dropout": 0.0}),
        ("torchvision_model", {"name": "regnet_y_128gf", "last_layer": "stem"}),
        ("torchvision_model", {"name": "vit_h_14", "last_layer": None}),
        ("os", {}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_networks_larger_than_their_weights_allocate_nothing(builder, config, refused):
    student = fitted(SmallCNN(2, (1, 4, 4), width=1), np.zeros((8, 1, 4, 4)), Y[46:54])
    state = student.module_.state_dict()
    content, tensors = content_of(student)
    if builder == "torchvision_model":
        config |= {"freeze": False, "size": None}
        tensors["module.head.weight"] = state["head.weight"]
    content["student"] |= {
        "builder": builder,
        "config": {"n_classes": 2, "input_shape": [1, 4, 4], **config},
    }
    assert "is damaged" in refused(pack(content, tensors))


@pytest.mark.parametrize(
    "config",
    [
        {"n_categories": None, "input_shape": [10**11]},
        {"n_categories": [0, 10**11]},
        {"n_blocks": 10**9},
        {"hidden": 10**11},
        {"embedding": 10**11},
    ],
    ids=lambda config: next(iter(config)),
)
def test_a_table_mlp_larger_than_its_weights_allocates_nothing(config, refused):
    module = TableMLP(3, (2,), n_categories=[0, 9])
    content, tensors = content_of(fitted(module, X[:, :2].astype("float32")))
    content["student"]["config"] |= config
    assert "is damaged" in refused(pack(content, tensors))


def content_of(student):
    from skkd._safe_file.save import _to_bytes

    return unpack(_to_bytes([], None, student), "made")


def test_a_header_of_gigabytes_is_not_read(refused):
    assert "expected a file" in refused(struct.pack("<Q", 2**33) + b"{")
    assert "expected a file" in refused(struct.pack("<Q", 2**63 + 5) + b"{" * 100)


def test_duplicate_keys_are_refused(good, refused):
    n_header = struct.unpack("<Q", good[:8])[0]
    header = good[8 : 8 + n_header].rstrip()
    first = header.index(b'"module.')
    entry = header[first : header.index(b"}", first) + 1]
    twice = header[:-1] + b"," + entry + b"}"
    data = struct.pack("<Q", len(twice)) + twice + good[8 + n_header :]
    assert "twice" in refused(data)


@pytest.mark.parametrize(
    "data, told",
    [
        (b"", "it has 0 bytes"),
        (b"\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00", "a pickle"),
        (b"PK\x03\x04" + bytes(30), "a zip archive"),
        (b"\x08\x0a\x12\x07pytorch" + bytes(30), "an ONNX file"),
        (b"not a file of tensors, but a text", "begin with b'not a fi'"),
        (struct.pack("<Q", 4) + b"[1]x", "no JSON"),
        (struct.pack("<Q", 4) + b"[12]", "no JSON object"),
        (struct.pack("<Q", 90_000) + b"[" * 90_000, "no JSON"),
        (save({"a": torch.zeros(1)}), "says nothing about classes"),
        (save({}, {STUDENT.key: '{"format": 2}'}), "has format 2"),
    ],
)
def test_files_of_other_kinds(data, told, refused):
    assert told in refused(data)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_student(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    "attribute, told",
    [
        ({"value": {"class": "torch.nn.Linear"}}, "holds code"),
        ({"value": {"object": "skkd.losses.KD", "params": {"dict": []}}}, "holds code"),
        ({"step": {"type": "sklearn.svm.SVC", "state": {}}}, "KeyError"),
        ({"step": {"type": "skkd.ImageReader", "state": {"memory": "/"}}}, "memory"),
    ],
)
def test_steps_hold_no_code_and_no_folders(attribute, told, tmp_path, refused):
    path = tmp_path / "student"
    step = FunctionTransformer()
    save_student(make_pipeline(step, DistilledClassifier(max_epochs=1)).fit(X, Y), path)
    content, tensors = unpack(path.read_bytes(), "made")
    content["steps"][0][1]["state"]["func"] = attribute
    assert told in refused(pack(content, tensors))


# The network that a reader passes -----------------------------------------------------


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    path = tmp_path_factory.mktemp("tied") / "student.safetensors"
    save_student(fitted(Tied, X.astype("f4")), path)
    return path.read_bytes()


def test_a_network_of_the_users_own_is_asked_for(tied, refused):
    told = refused(tied)
    assert "Tied(39 parameters)" in told
    assert "load_student(path, module=...)" in told


def test_another_network_of_the_same_shapes_is_refused(tied, refused):
    assert "answers otherwise" in refused(tied, module=Smooth)


def test_a_network_of_other_shapes_is_refused(tied, refused):
    told = refused(tied, module=MLP)
    assert "'body.1.bias' have shape (128,), and those of the file None" in told


def test_parameters_that_make_no_student_are_named(good, refused):
    assert "device='nowhere'" in refused(good, device="nowhere")
