"""SoftLabelsDisplay: probabilities, classes and images."""

import numpy as np
import pytest
import torch

from skkd.displays import SoftLabelsDisplay


def test_soft_labels_are_softened_probabilities(iris, fitted):
    X, _ = iris
    teacher = fitted["teacher"]
    display = SoftLabelsDisplay.from_estimator(teacher, X[70], temperatures=[1, 4])
    expected = teacher.predict_proba(X[70:71])[0]
    np.testing.assert_allclose(display.probabilities[0], expected, rtol=1e-4)
    powers = expected**0.25
    np.testing.assert_allclose(
        display.probabilities[1], powers / powers.sum(), rtol=1e-4
    )
    assert display.image_ax_ is None and len(display.axes_) == 2
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == [str(label) for label in np.argsort(-expected)]


def test_soft_labels_gather_the_rest():
    logits = np.arange(12.0)
    display = SoftLabelsDisplay.from_predictions(logits, top=4, temperatures=[2])
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["11", "10", "9", "8", "8 others"]
    widths = [bar.get_width() for bar in display.ax_.patches]
    shares = np.exp(logits / 2) / np.exp(logits / 2).sum()
    np.testing.assert_allclose(widths, [*shares[:7:-1], shares[:8].sum()])


@pytest.mark.parametrize("shape", [(3, 6, 5), (6, 5, 3), (6, 5), (1, 6, 5)])
def test_soft_labels_show_the_image(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    display = SoftLabelsDisplay.from_predictions([1, 2], image=image)
    assert display.image.shape[:2] == (6, 5)
    assert display.image_ax_.images


def test_soft_labels_of_a_torch_module_and_its_image():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    row = np.random.default_rng(0).random((3, 4, 4), dtype=np.float32)
    display = SoftLabelsDisplay.from_estimator(module, row, classes=list("abc"))
    with torch.no_grad():
        expected = torch.softmax(module(torch.tensor(row[None])), dim=1)
    np.testing.assert_allclose(display.probabilities[:1], expected, rtol=1e-4)
    np.testing.assert_array_equal(display.image, row.transpose(1, 2, 0))
    with pytest.raises(ValueError, match=r"does not know the classes"):
        SoftLabelsDisplay.from_estimator(module, row)


def test_soft_labels_of_a_file_show_it(tmp_path):
    from PIL import Image

    path = str(tmp_path / "red.png")
    Image.new("RGB", (5, 6), "red").save(path)

    def teacher(X):
        assert X.tolist() == [path]
        return np.array([[1.0, 2.0]])

    display = SoftLabelsDisplay.from_estimator(teacher, path, classes=["a", "b"])
    assert (
        display.image.shape == (6, 5, 3) and (display.image[0, 0] == [255, 0, 0]).all()
    )
    assert (
        SoftLabelsDisplay.from_estimator(
            teacher, path, classes=["a", "b"], image=False
        ).image
        is None
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperatures": [0]}, "expected numbers above 0"),
        ({"classes": ["a"]}, "classes has 1 labels, expected 2"),
        ({"label": "z"}, "label='z' is none of the classes"),
        ({"image": np.zeros(5)}, "image has shape"),
        ({"top": 0}, "top=0"),
    ],
)
def test_soft_labels_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        SoftLabelsDisplay.from_predictions([1.0, 2.0], **options)
    with pytest.raises(ValueError, match=r"logits has shape \(1, 2\)"):
        SoftLabelsDisplay.from_predictions([[1.0, 2.0]])
