"""Keras models on the backend of this process, and the wrapper for scikit-learn."""

import warnings

import numpy as np
from zoo_case import of_tables

STRINGS = ("strings",)


def body():
    from keras import layers

    return [
        layers.Input((4,)),
        layers.BatchNormalization(momentum=0.5),
        layers.Dense(8, "relu"),
    ]


def fitted(model, X, y):
    codes = np.unique(y, return_inverse=True)[1]
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        model.fit(X, codes, epochs=15, batch_size=32, verbose=0)
    return model


def compiled(model, loss="sparse_categorical_crossentropy"):
    import keras

    model.compile(keras.optimizers.Adam(0.02), loss)
    return model


def sequential(X, y):
    import keras

    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(len(set(y)), activation="softmax")
    return fitted(compiled(keras.Sequential([*body(), head])), X, y)


def functional(X, y):
    """Return one that gives logits."""
    import keras

    keras.utils.set_random_seed(0)
    rows, *layers = body()
    hidden = rows = rows.output if hasattr(rows, "output") else rows
    for layer in [*layers, keras.layers.Dense(len(set(y)))]:
        hidden = layer(hidden)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return fitted(compiled(keras.Model(rows, hidden), loss), X, y)


def one_sigmoid(X, y):
    import keras

    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(1, activation="sigmoid")
    model = compiled(keras.Sequential([*body(), head]), "binary_crossentropy")
    return fitted(model, X, y)


def of_wrapper(X, y):
    import keras

    head = keras.layers.Dense(y.shape[1], activation="softmax")
    return compiled(keras.Sequential([*body(), head]), "categorical_crossentropy")


def wrapped(X, y):
    import keras
    from keras.wrappers import SKLearnClassifier

    keras.utils.set_random_seed(0)
    options = {"verbose": 0, "epochs": 15}
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return SKLearnClassifier(of_wrapper, fit_kwargs=options).fit(X, y)


def change_a_weight(model):
    model = getattr(model, "model_", model)
    *others, last = model.get_weights()
    model.set_weights([*others, last + np.arange(1.0, 1 + len(last))])


CASES = [
    *of_tables("keras-sequential", sequential, kinds=STRINGS, change=change_a_weight),
    *of_tables("keras-functional", functional, kinds=STRINGS, change=change_a_weight),
    *of_tables("keras-wrapper", wrapped, kinds=STRINGS, change=change_a_weight),
    *of_tables("keras-sigmoid", one_sigmoid, kinds=STRINGS, change=change_a_weight)[:1],
]
