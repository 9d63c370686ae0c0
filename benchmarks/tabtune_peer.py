"""TabTune's distiller, a peer of `bench_tables`, with a teacher that is fitted.

What is used is its own ``TabDistiller(teachers=[teacher], student="mlp")``, with all
its defaults. Its package imports the foundation models that it is made for, and forty
packages; a teacher of one's own needs none of them, so that these are left out. Its
student takes the columns of numbers alone, and zero for a gap.
"""

import importlib.util
import logging
import sys
import types

from sklearn.base import BaseEstimator, ClassifierMixin


def is_installed():
    """Tell whether TabTune can be found."""
    return importlib.util.find_spec("tabtune") is not None


class TabTuneStudent(ClassifierMixin, BaseEstimator):
    """A student of TabTune, which learns from the probabilities of a fitted teacher."""

    def __init__(self, teacher, seed):
        self.teacher = teacher
        self.seed = seed

    def fit(self, X, y):
        """Ask the teacher, and train."""
        distiller = _distiller()(
            teachers=[_Teacher(self.teacher)], student="mlp", random_state=self.seed
        )
        self.distiller_ = distiller.fit(X, y)
        self.classes_ = self.teacher.classes_
        return self

    def predict_proba(self, X):
        """Return the probability of each class."""
        return self.distiller_.predict_proba(X)


class _Teacher:
    """What the distiller takes for a fine-tuned model, which it asks as it is."""

    tuning_strategy = "finetune"

    def __init__(self, model):
        self.predict_proba = model.predict_proba


def _distiller():
    if "tabtune" not in sys.modules:
        spec = importlib.util.find_spec("tabtune")
        package = types.ModuleType("tabtune")
        package.__path__ = spec.submodule_search_locations
        sys.modules["tabtune"] = package
        for name in ("tabtune.TabularPipeline", "tabtune.TabularPipeline.pipeline"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].TabularPipeline = None  # it is imported, and not called
    from tabtune.distillation import TabDistiller

    logging.getLogger("tabtune").setLevel(logging.ERROR)
    return TabDistiller
