"""What the scripts reproduce_*.py share: options, copies of files, tables."""

import argparse
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import Bunch
from torch.nn.functional import interpolate
from tqdm import tqdm

from skkd import ImageReader, load_image_folder
from skkd.images import ImageFolderWarning
from skkd.report import Fit, Gain, describe_machine

TITLES = {
    "plain": "plain student",
    "distilled": "distilled student",
    "teacher": "teacher",
}


class _Help(
    argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter
):
    """Keeps the lines of the description, and says what the defaults are."""


def parser(doc: str, *, seeds: int = 5, weights: bool = False):
    """Return a parser with the options of every reproduction.

    `weights` adds those of a pretrained network: a file is given with the mean and
    the spread of its training images, on the scale of 0 to 255.
    """
    out = argparse.ArgumentParser(description=doc, formatter_class=_Help)
    out.add_argument("--data", type=Path, required=True, help="folder of the data")
    out.add_argument("--seeds", type=int, default=seeds, help="how many students")
    out.add_argument("--jobs", type=int, default=1, help="processes of one thread")
    out.add_argument("--resume", type=Path, help="JSON lines of the finished fits")
    out.add_argument("--quick", action="store_true", help="only see that it runs")
    if weights:
        out.add_argument(
            "--weights",
            default="DEFAULT",
            help="torchvision's, or a file, with its mean and std",
        )
        out.add_argument("--mean", type=float, nargs="+", help="of a file's images")
        out.add_argument("--std", type=float, nargs="+", help="of a file's images")
    return out


def weights_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return parameters of an estimator with the pretrained weights of `args`."""
    return {f"module__{key}": vars(args)[key] for key in ("weights", "mean", "std")}


def resume_for(args: argparse.Namespace, name: str) -> Path | None:
    """Return the file of one of several comparisons: fits.jsonl -> fits-name.jsonl."""
    if args.resume is None:
        return None
    return args.resume.with_name(f"{args.resume.stem}-{name}{args.resume.suffix}")


def without_copies(X_train, y_train, X_test, y_test) -> tuple[np.ndarray, ...]:
    """Return all images and labels, and the rows that train and that test.

    Training images of which there is a copy among those that test are dropped.
    """
    known = {image.tobytes() for image in X_test}
    clean = np.array([image.tobytes() not in known for image in X_train])
    print(f"{(~clean).sum()} training images that are in the test set: dropped")
    X = np.concatenate([X_train[clean], X_test])
    y = np.concatenate([y_train[clean], y_test])
    return X, y, *np.split(np.arange(len(X)), [clean.sum()])


def load_with_copies(folder: Path) -> Bunch:
    """Load an image folder; that files are identical is known, and dealt with."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*byte-identical", ImageFolderWarning)
        return load_image_folder(folder)


def group_alike(paths: np.ndarray, least: float, *, trim: bool = False) -> np.ndarray:
    """Group files by the picture they show, whatever its size and encoding.

    Those whose thumbnails of 32x32 gray pixels correlate by more than `least` share a
    group. `trim` cuts even margins off first.
    """
    read = ImageReader(96 if trim else 32, mode="L").fit_transform(paths)
    thumbs = [trimmed(image) if trim else image.ravel() for (image,) in read]
    return connected_components(np.corrcoef(thumbs) > least)[1]


def trimmed(image: np.ndarray) -> np.ndarray:
    """Return 32x32 pixels of a gray image (H, W), as a row, without even margins."""
    for axis in (1, 0, 1, 0):
        kept = np.flatnonzero(image.std(axis=1 - axis) > 12)
        image = image.take(range(kept[0], kept[-1] + 1), axis)
    pixels = torch.tensor(image)[None, None].float()
    return (
        interpolate(pixels, (32, 32), mode="bilinear", antialias=True).numpy().ravel()
    )


def grouped_folds(seed: int) -> StratifiedGroupKFold:
    """Return other folds for each seed; copies of a picture stay on one side."""
    return StratifiedGroupKFold(5, shuffle=True, random_state=seed)


def table(results: Mapping[str, Gain]) -> str:
    """Return a Markdown table: three networks for each result, and its gain.

    Accuracies are mean and standard deviation over all fits, times their median.
    """
    lines = [
        "| | network | accuracy, % | parameters | seconds to fit | seeds x folds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, result in results.items():
        for network, title in TITLES.items():
            scores = getattr(result, network)
            if scores is None:
                continue
            figures = result.n_parameters[network], result.seconds.get(network)
            lines.append(_row(name, title, *_cells(scores, *figures, scores.shape)))
    return "\n".join(lines)


def _cells(scores, n_parameters, seconds, shape) -> tuple[str, ...]:
    """Return what a table says of one network."""
    return (
        spread(100 * scores),
        size(n_parameters),
        "" if seconds is None else f"{np.median(seconds):.1f}",
        f"{shape[0]} x {shape[1]}",
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values) -> str:
    """Return mean and standard deviation."""
    if values.size == 1:
        return f"{values.mean():.2f}"
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"


def size(n_parameters: int | None) -> str:
    """Return a number of parameters; blank where a teacher is no network."""
    return "" if n_parameters is None else f"{n_parameters:,}"


def show(results: Mapping[str, Gain]) -> None:
    """Print the table, what to conclude from each result, and the machine."""
    print(f"\n{table(results)}\n")
    for name, result in results.items():
        print(f"{name}: {result.verdict}.\n{result.covers}")
    print(f"\n{describe_machine()}")


# Of scripts that compare more than a student with and without its teacher ------------


def collect(
    fit_fold: Callable[[int, int], Iterable[Fit]],
    plan: list[tuple[int, int]],
    resume: Path | None,
    about: list[Any],
) -> list[Fit]:
    """Return the fits of each (seed, fold); what `resume` holds is not fitted again."""
    done: dict[tuple[int, int], list[Fit]] = {}
    if resume is not None and resume.exists():
        for settings, fits in map(json.loads, resume.read_text().splitlines()):
            if settings != about:
                raise SystemExit(f"{resume} is of other settings: delete it.")
            read = [Fit(*fit[:3], *map(np.array, fit[3:6]), *fit[6:]) for fit in fits]
            done[read[0].seed, read[0].fold] = read
    for key in tqdm(plan, unit="fold"):
        if key in done:
            continue
        done[key] = [*fit_fold(*key)]
        if resume is not None:
            line = json.dumps([about, done[key]], default=np.ndarray.tolist)
            with resume.open("a") as file:
                file.write(line + "\n")
    return [fit for key in plan for fit in done[key]]


def show_networks(
    fits: list[Fit],
    titles: Mapping[str, str],
    pairs: Iterable[tuple[str, str]],
    groups: np.ndarray,
) -> None:
    """Print all networks in one table, and what the second of each pair gains."""
    seeds, folds = ({fit[column] for fit in fits} for column in (1, 2))
    print("\n| network | accuracy, % | parameters | seconds to fit | seeds x folds |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for network, title in titles.items():
        some = [fit for fit in fits if fit.network == network]
        scores = np.array([np.mean(fit.y_true == fit.y_pred) for fit in some])
        figures = some[0].n_parameters, [fit.seconds for fit in some]
        shape = len(seeds), len(folds)
        print(_row(title, *_cells(scores, *figures, shape)))
    print()
    for one, two in pairs:
        names = {one: "plain", two: "distilled"}
        both = [fit for fit in fits if fit.network in names]
        pair = tuple(fit._replace(network=names[fit.network]) for fit in both)
        result = Gain(pair, groups, grouped=True)
        print(f"{titles[two]} against {titles[one]}: {result.verdict}.")
    print(f"{result.covers}\n\n{describe_machine()}")
