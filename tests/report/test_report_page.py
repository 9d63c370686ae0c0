"""The page of a comparison: valid, self-contained, and true to the figures."""

import base64
import io
import re
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image
from report_pages import Fixed, Page
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from skkd import DistilledClassifier, ImageReader
from skkd.report import compare


def page_of(result, tmp_path, **params):
    path = tmp_path / "page.html"
    result.to_html(path, **params)
    return Page(path.read_text(encoding="utf-8"))


rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (6, 3, 5, 4), dtype=np.uint8)
LABELS = np.array(["<cat>", "dog", "dog", "<cat>", "dog", "dog"])
TEACHER = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.6, 0.4], [0.004, 0.996]]
PLAIN = [[0.8, 0.2], [0.9, 0.1], [0.6, 0.4], [0.9, 0.1], [0.1, 0.9], [1, 0]]
MODELS = {
    "teacher": Fixed(TEACHER, ["<cat>", "dog"]),
    "plain": Fixed(PLAIN, ["<cat>", "dog"]),
    "A & <B>": Fixed(TEACHER, ["<cat>", "dog"]),
}


@pytest.fixture(scope="module")
def result():
    return compare(MODELS, IMAGES, LABELS, timing=False)


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    result.to_html(path, title="<i>Cats & dogs</i>")
    page = Page(path.read_text(encoding="utf-8"))
    page.path = path
    return page


@pytest.fixture
def without_plots(monkeypatch):
    """Spare the time to draw."""
    monkeypatch.setattr("skkd.report._compare._page.plots_of", lambda result: [])


def test_the_page_is_valid_and_asks_nobody(page):
    html = page.path.read_text(encoding="utf-8")
    html.index('<meta charset="utf-8">', 0, 1024)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in (
        page.all("meta")
    )
    assert page.elements[0] == ("html", {"lang": "en"})
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object")
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")
    style = re.search("<style>.*</style>", html, re.S)[0]
    assert "url(" not in style and "@import" not in style
    for image in page.all("img"):
        assert image["alt"]
    assert all(heading.get("scope") in ("col", "row") for heading in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    tmp_path, result, monkeypatch
):
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(path, text, **kwargs):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        result.to_html(path)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_names_and_labels_are_text(page):
    assert "<i>Cats & dogs</i>" in page.text
    assert "A & <B>" in page.text and "<cat>" in page.text
    assert not {"i", "b", "cat"} & {tag for tag, _ in page.elements}


def test_the_page_holds_the_figures(result, page):
    for values in result.measures.values():
        assert f"{values['accuracy']:.3f}" in page.text
        assert f"{values['log_loss']:.3f}" in page.text
    assert "95 % interval" in page.text
    assert "The share of rows that are right" in page.text
    assert "multiply-adds" not in page.text  # nobody has any
    assert all(note in page.text for note in result.notes)
    assert " ".join(result.machine.split()) in page.text


def test_differences_in_words(tmp_path, without_plots):
    y = np.repeat(["a", "b"], 50)
    good = np.column_stack([y == "a", y == "b"])
    models = {"bad": Fixed(~good, ["a", "b"]), "good": Fixed(good, ["a", "b"])}
    models["same"] = models["good"]
    page = page_of(compare(models, np.zeros((100, 2)), y, timing=False), tmp_path)
    assert "bad, good, same: a comparison" in page.text
    sure = "good is 100.0 points more accurate than bad (95 % interval +100.0 to +100.0"
    assert sure in page.text
    assert "good and same are right on the same rows." in page.text
    assert "Where they differ" not in page.text  # these are no images


def test_examples_are_where_teacher_and_plain_differ(result, page):
    # Rows 1, 2, 4 and 5: total variation of 0.7, 0.2, 0.5 and 0.996.
    assert [example.row for example in result.examples] == [5, 1, 4, 2]
    first = result.examples[0]
    assert first.label == "dog"
    assert first.labels == {"teacher": "dog", "plain": "<cat>", "A & <B>": "dog"}
    assert first.soft["teacher"] == {"dog": 0.996, "<cat>": 0.004}
    assert result.disagreement == (
        "teacher and plain differ on 4 of 6 images: teacher is right on 3, plain on 1, "
        "neither on 0."
    )
    pictures = [i for i in page.all("img") if i["src"].startswith("data:image/png")]
    assert [p["alt"] for p in pictures[:2]] == ["image 5, dog", "image 1, dog"]
    png = base64.b64decode(pictures[0]["src"].partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert (pixels == IMAGES[5].transpose(1, 2, 0)).all()
    assert "predicts ✓ dog ✗ <cat> ✓ dog" in " ".join(" ".join(page.words).split())
    widths = [s["style"] for s in page.all("span") if s.get("class") == "bar"]
    assert widths[:3] == ["width:99.6%", "width:0.5%", "width:99.6%"]


def test_few_examples_and_one_of_a_group():
    few = compare(MODELS, IMAGES, LABELS, timing=False, n_examples=2)
    assert [example.row for example in few.examples] == [5, 1]
    groups = [0, 1, 2, 3, 1, 4]
    apart = compare(MODELS, IMAGES, LABELS, timing=False, groups=groups)
    assert [example.row for example in apart.examples] == [5, 1, 2]
    assert compare(MODELS, IMAGES, LABELS, timing=False, n_examples=0).examples == []


def test_without_roles_any_models_that_differ():
    models = {
        "one": MODELS["teacher"],
        "two": MODELS["plain"],
        "three": MODELS["plain"],
    }
    result = compare(models, IMAGES, LABELS, timing=False)
    assert [example.row for example in result.examples] == [5, 1, 4, 2]
    assert result.disagreement == "The models do not agree on 4 of 6 images."


def test_models_that_give_labels_alone(tmp_path, without_plots):
    class Plain:
        classes_ = np.array(["<cat>", "dog"])

        def predict(self, X):
            return self.classes_[np.zeros(len(X), dtype=int)]

    models = {"teacher": MODELS["teacher"], "plain": Plain()}
    result = compare(models, IMAGES, LABELS, timing=False)
    assert [example.row for example in result.examples] == [1, 2, 5]
    page = page_of(result, tmp_path)
    assert "✗ <cat>" in page.text
    only = compare({"plain": Plain(), "b": Plain()}, IMAGES, LABELS, timing=False)
    assert page_of(only, tmp_path)


def test_thirty_classes_show_those_that_matter(tmp_path):
    y = np.arange(30).repeat(2)
    proba = rng.dirichlet(np.full(30, 0.2), 60)
    other = rng.dirichlet(np.full(30, 0.2), 60)
    images = rng.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)
    models = {"teacher": Fixed(proba, range(30)), "plain": Fixed(other, range(30))}
    result = compare(models, images, y, timing=False)
    assert len(result.examples) == 12
    for example in result.examples:
        shown = [*example.soft["plain"]]
        assert 3 <= len(shown) <= 4
        assert {example.label, *example.labels.values()} <= {*shown}
    page = page_of(result, tmp_path)
    assert sum("svg" in image["src"] for image in page.all("img")) >= 2


@pytest.fixture
def photos(tmp_path):
    paths = []
    for number, pixels in enumerate(np.repeat(IMAGES, 4, axis=0)):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels.transpose(1, 2, 0)).save(paths[-1])
    return np.array(paths), LABELS.repeat(4)


@pytest.mark.parametrize("lazy", [False, True])
def test_photographs_read_by_pipelines(
    photos, tmp_path, without_plots, lazy, monkeypatch
):
    monkeypatch.setattr("skkd._evaluate.costs._SECONDS", 0.1)
    paths, y = photos

    def student(seed, size=8, **params):
        net = DistilledClassifier(
            random_state=seed, module__width=2, lr=0.05, max_epochs=8, **params
        )
        return make_pipeline(ImageReader(size, lazy=lazy), net).fit(paths, y[order])

    # The plain student learnt something else.
    order = np.arange(24)
    models = {"teacher": student(0), "small": student(1, size=4)}
    order = order[::-1]
    models["plain"] = student(2)
    models["dummy"] = make_pipeline(
        ImageReader(8), DummyClassifier().fit(np.zeros((24, 1)), y)
    )
    result = compare(models, paths, y, batch_size=8, timing=not lazy)
    for name in ("teacher", "small", "plain"):
        expected = np.mean(models[name].predict(paths) == y)
        assert result.measures[name]["accuracy"] == expected
        assert lazy or result.measures[name]["latency"] > 0
    small, large = (result.measures[n]["multiply_adds"] for n in ("small", "teacher"))
    assert large > 3 * small
    for example in result.examples:
        assert example.picture.shape == (3, 8, 8)
        expected = ImageReader(8).transform([paths[example.row]])[0]
        assert (example.picture == expected).all()
        assert example.name == Path(paths[example.row]).name
    assert result.examples
    page = page_of(result, tmp_path)
    assert result.examples[0].name in page.text


def test_without_matplotlib(result, tmp_path, monkeypatch):
    for name in [*sys.modules]:
        if name.split(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    page = page_of(result, tmp_path)
    assert "Left out: they need matplotlib, pip install matplotlib" in page.text
    assert not any("svg" in image["src"] for image in page.all("img"))


def test_the_page_is_the_same_each_time(result, page, tmp_path):
    with matplotlib.rc_context({"axes.facecolor": "red"}):
        result.to_html(tmp_path / "again.html", title="<i>Cats & dogs</i>")
    assert (tmp_path / "again.html").read_bytes() == page.path.read_bytes()


def test_without_jinja2(result, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match="to_html requires jinja2: `pip install"):
        result.to_html(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
