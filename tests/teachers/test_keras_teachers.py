"""Keras models as teachers: the last activation tells what the outputs are."""

import os

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skkd import DistilledClassifier
from skkd.teachers import as_teacher

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", exc_type=ImportError)

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")

pytestmark = [
    # NumPy's, of how Keras makes arrays.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::skkd.DistillationWarning"),
]


def model(activation, units=3, loss="sparse_categorical_crossentropy"):
    layers = [
        keras.layers.Input((4,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(units),
    ]
    if activation == "Softmax":
        layers.append(keras.layers.Softmax())
    elif activation is not None:
        layers.append(keras.layers.Activation(activation))
    built = keras.Sequential(layers)
    built.compile("adam", loss)
    return built


def functional(activation):
    inner = model(activation)
    rows = keras.Input((4,))
    return keras.Model(rows, inner(rows))


KINDS = {None: "logits", "softmax": "proba", "Softmax": "proba"}


@pytest.mark.parametrize("activation", KINDS)
@pytest.mark.parametrize("make", [model, functional])
def test_the_last_activation_tells_what_the_outputs_are(activation, make):
    built = make(activation)
    before = [np.array(w) for w in built.get_weights()]
    teacher = as_teacher(built)
    assert teacher.output_kind() == KINDS[activation]
    expected = built.predict(X, verbose=0)
    if activation is not None:
        expected = np.log(expected)
    got = teacher.logits(X, [0, 1, 2])
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
    DistilledClassifier(teacher=built, max_epochs=1, random_state=0).fit(X, Y)
    for old, new in zip(before, built.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_sigmoid_is_the_probability_of_the_second_class():
    built = model("sigmoid", units=1)
    p = built.predict(X, verbose=0).ravel()
    got = as_teacher(built).logits(X, [False, True])
    np.testing.assert_allclose(got[:, 1] - got[:, 0], np.log(p / (1 - p)), rtol=1e-2)


def test_the_wrapper_for_scikit_learn_gives_probabilities():
    wrapper = keras.wrappers.SKLearnClassifier(
        lambda X, y: model("softmax", loss="categorical_crossentropy"),
        fit_kwargs={"verbose": 0},
    )
    names = np.array(["a", "b", "c"])[Y]
    with pytest.raises(ValueError, match="is not fitted"):
        DistilledClassifier(teacher=wrapper).fit(X, names)
    wrapper.fit(X, names)
    teacher = as_teacher(wrapper)
    assert teacher.output_kind() == "proba"
    assert teacher.classes_.tolist() == ["a", "b", "c"]
    expected = np.log(wrapper.model_.predict(X, verbose=0))
    got = teacher.logits(X, ["a", "b", "c"])
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


def test_images_in_another_layout_are_refused():
    built = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    images = np.random.default_rng(0).random((6, 1, 8, 8), dtype="float32")
    with pytest.raises(ValueError, match=r"(?s)does not take X.*permute\(0, 2, 3, 1\)"):
        as_teacher(built).logits(images, [0, 1, 2])
    last = as_teacher(built, transform=lambda x: x.permute(0, 2, 3, 1))
    expected = as_teacher(built).logits(images.transpose(0, 2, 3, 1), [0, 1, 2])
    np.testing.assert_allclose(last.logits(images, [0, 1, 2]), expected, rtol=1e-4)
