"""A student without torch: on onnxruntime, NumPy and Pillow alone.

Where nothing is trained, three packages are enough::

    pip install numpy onnxruntime pillow
    pip install --no-deps skkd

scikit-learn is not needed, and where it is installed an `OnnxClassifier` is one of its
classifiers.
"""

from skkd.runtime._classifier import OnnxClassifier

__all__ = ["OnnxClassifier"]
