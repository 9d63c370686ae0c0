"""Displays in scikit-learn's convention: pictures of teachers and students.

Each has classmethods that compute and plot (``from_estimators``, ``from_predictions``
and the like), a method ``plot(ax=None)``, and keeps ``ax_`` and ``figure_``. They need
matplotlib: ``pip install matplotlib``.

Letters are fitted to the figure as it is while plotting: give an ``ax`` of a figure in
its final size, best with ``layout="constrained"``, which makes room for labels.
"""

from skkd.displays.confusion_difference import ConfusionDifferenceDisplay
from skkd.displays.pareto import ParetoDisplay
from skkd.displays.reliability import Reliability, ReliabilityDisplay
from skkd.displays.soft_labels import SoftLabelsDisplay
from skkd.displays.temperature_alpha import TemperatureAlphaDisplay
from skkd.displays.training_curves import TrainingCurvesDisplay

__all__ = [
    "ConfusionDifferenceDisplay",
    "ParetoDisplay",
    "Reliability",
    "ReliabilityDisplay",
    "SoftLabelsDisplay",
    "TemperatureAlphaDisplay",
    "TrainingCurvesDisplay",
]
