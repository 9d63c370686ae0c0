"""Keras models as teachers: the last activation tells what the outputs are."""

import os

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier
from skkd.memory._fingerprint import fingerprint
from skkd.teachers import as_teacher

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", exc_type=ImportError)

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")

pytestmark = [
    # NumPy's, of how Keras on torch makes arrays.
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


class Live(keras.Model):
    """Passes training=True to a layer, whatever it is asked for."""

    def __init__(self, layer):
        super().__init__()
        self.live, self.dense = layer, keras.layers.Dense(3)

    def call(self, x):
        return self.dense(self.live(x, training=True))


@pytest.mark.parametrize("name", ["Dropout", "BatchNormalization"])
def test_a_layer_in_train_mode_is_refused(name):
    built = Live(getattr(keras.layers, name)(*[0.5][: name == "Dropout"]))
    built(X)
    before = built.get_weights()
    with pytest.raises(ValueError, match="as it predicts: some layer is called with"):
        as_teacher(built).logits(X, [0, 1, 2])
    for old, new in zip(before, built.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_model_without_weights_is_refused():
    built = keras.Sequential([keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="has no weights yet"):
        DistilledClassifier(teacher=built).fit(X, Y)
    assert not built.built


def test_one_of_several_outputs_teaches():
    rows = keras.Input((4,))
    heads = [keras.layers.Dense(3, activation="softmax")(rows) for _ in range(2)]
    both = keras.Model(rows, heads)
    with pytest.raises(ValueError, match=r"keras\.Model\(model\.inputs, model\.out"):
        as_teacher(both).logits(X, [0, 1, 2])
    got = as_teacher(keras.Model(both.inputs, both.outputs[1])).logits(X, [0, 1, 2])
    expected = keras.ops.convert_to_numpy(both(X)[1])
    np.testing.assert_allclose(np.exp(got), expected, rtol=1e-3, atol=1e-5)


def test_a_model_of_half_precision_teaches():
    built = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_bfloat16")]
    )
    assert as_teacher(built).logits(X, [0, 1, 2]).dtype == np.float32


def of_wrapper(X, y):
    return model("softmax", loss="categorical_crossentropy")


def test_the_wrapper_in_a_pipeline_and_with_names_of_columns():
    table = pd.DataFrame(X, columns=[*"abcd"])
    wrapper = keras.wrappers.SKLearnClassifier(of_wrapper, fit_kwargs={"verbose": 0})
    pipeline = make_pipeline(StandardScaler(), wrapper).fit(table, Y)
    teacher = as_teacher(pipeline)
    assert teacher.output_kind() == "proba"
    assert as_teacher(pipeline, output="proba").output_kind() == "proba"
    assert not teacher.gives_scores
    last = as_teacher(pipeline[-1].fit(table, Y))
    other_order = table[[*"dcba"]]
    np.testing.assert_array_equal(
        last.logits(other_order, [0, 1, 2]), last.logits(table, [0, 1, 2])
    )


def test_a_trained_class_of_the_users_own_is_told_by_its_weights():
    built = Own()
    built.compile("adam", "sparse_categorical_crossentropy")
    contents = []
    for _ in range(2):
        built.fit(X, Y, verbose=0)
        contents.append(fingerprint(as_teacher(built)))
        built.evaluate(X, Y, verbose=0)
        as_teacher(built).logits(X, [0, 1, 2])
        assert fingerprint(as_teacher(built)) == contents[-1]
    assert contents[0] != contents[1]


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, activation="softmax")

    def call(self, x):
        return self.dense(x)
