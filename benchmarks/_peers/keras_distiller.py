"""Keras 3's Distiller on the torch backend.

Both networks are the very torch modules of the other sides, in Keras's
TorchModuleWrapper: the same weights, and no layer of Keras slows them down.
``keras.losses.KLDivergence()`` stands for the default "kl_divergence", which compares
logits as if they were probabilities.
"""

import os

# Before the first import of keras.
os.environ["KERAS_BACKEND"] = "torch"

PACKAGE = "keras"
NAME = "(c) Keras Distiller"


def prepare(task, seed):
    """Return the call of ``Distiller.fit``."""
    import keras
    from keras.distillation import Distiller, LogitsDistillation

    kld = keras.losses.KLDivergence()
    with keras.device("cpu"):
        student = task.student(seed)
        distiller = Distiller(
            teacher=wrapped(task.teacher, task.X.shape[1:]),
            student=wrapped(student, task.X.shape[1:]),
            distillation_losses=LogitsDistillation(task.temperature, loss=kld),
            student_loss_weight=1 - task.alpha,
        )
        make = getattr(keras.optimizers, task.optimizer)
        kwargs = dict(task.optimizer_kwargs)
        if task.optimizer == "Adam":
            kwargs["epsilon"] = 1e-8  # torch's
        distiller.compile(
            optimizer=make(learning_rate=task.lr, **kwargs),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    X, y = task.X.numpy(), task.y.numpy()

    def train():
        sizes = {"batch_size": task.batch_size, "epochs": task.epochs}
        with keras.device("cpu"):
            distiller.fit(X, y, verbose=0, **sizes)
        return student

    return train


def wrapped(module, input_shape):
    """Return a Keras model that is the torch module."""
    import keras

    return keras.Sequential(
        [
            keras.Input(tuple(input_shape), dtype="uint8"),
            keras.layers.TorchModuleWrapper(module, output_shape=(None, 10)),
        ]
    )
