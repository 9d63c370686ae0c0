"""Plots of teachers and students, as scikit-learn's displays.

Each has class methods that compute and plot, such as ``from_estimators`` and
``from_predictions``, a method ``plot(*, ax=None)``, and the attributes ``ax_`` and
``figure_``. They require matplotlib: ``pip install matplotlib``.

Font sizes are fitted to the figure while plotting: pass an ``ax`` of a figure in its
final size, preferably with ``layout="constrained"``, which makes room for labels.
"""

from skkd.displays._reliability_curve import Reliability
from skkd.displays.confusion_difference import ConfusionDifferenceDisplay
from skkd.displays.pareto import ParetoDisplay
from skkd.displays.reliability import ReliabilityDisplay
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
