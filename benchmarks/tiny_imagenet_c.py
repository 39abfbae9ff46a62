"""How long a whole evaluation on Tiny-ImageNet-C takes: all corruptions at all severities.

    python benchmarks/tiny_imagenet_c.py --cases "resnet50 *" --repeats 3

Files are made in the real layout, `<corruption>/<severity>/<class>/*.JPEG`, with fewer images a set
than the real 10,000, so that what a set costs beside its images weighs more than it does there. An
evaluation is timed from the listing of the folders to the last figure, tracing included, in a
process of its own, which is new for every turn; importing the library and building the model stand
apart, and so does the decoding of every file that tfbio does once, before its first evaluation, to
find broken ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import matching
from machine import OtherPrograms, machine, machine_line
from measurement import DifferentWorkError
from PIL import Image
from processes import use_onednn
from pytorch_tiny_imagenet_c import evaluate as evaluate_theirs
from sides import OURS, THEIRS
from tables import print_table

_TARGET = 1.5
_SIZE = 64
_CLASSES = 200
_BATCH = 128
_QUALITY = 85
# Of the machine; above it other programs ran, and times are not to be trusted.
_QUIET = 0.05
# Of the mean loss of a set.
_LOSS_TOLERANCE = 1e-3
# In the original's order.
CORRUPTIONS = (
    "brightness",
    "defocus_blur",
    "fog",
    "gaussian_noise",
    "impulse_noise",
    "motion_blur",
    "shot_noise",
    "zoom_blur",
    "contrast",
    "elastic_transform",
    "frost",
    "glass_blur",
    "jpeg_compression",
    "pixelate",
    "snow",
)
SETS = tuple((corruption, severity) for corruption in CORRUPTIONS for severity in range(1, 6))


@dataclass(frozen=True)
class Evaluation:
    """What is timed: a model of the registry, and the number of images in each of the 75 sets."""

    model: str
    images: int

    @property
    def name(self) -> str:
        """What `--cases` matches and the table prints."""
        return f"{self.model} {len(SETS)} x {self.images}"


CASES = (
    Evaluation("resnet50", 40),
    Evaluation("resnet50", 200),
    Evaluation("resnet50_composite_a", 8),
)


def main(arguments: list[str] | None = None) -> int:
    """Reads the flags, measures, prints.

    Returns:
        The exit code: 2 for a mistake of the user, 1 if the sides do not do the same.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="*", help="globs of names, separated by commas")
    parser.add_argument("--repeats", type=int, default=3, help="evaluations of each side")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    parser.add_argument("--output", type=Path, help="write all figures to this JSON file")
    values = parser.parse_args(arguments)
    cases = matching(CASES, values.cases)
    if not cases:
        names = ", ".join(case.name for case in CASES)
        return _mistake(f"No case matches {values.cases!r}. Cases: {names}.")
    if values.repeats < 1 or values.threads < 1:
        return _mistake("Expected `--repeats` and `--threads` to be 1 or more.")
    if importlib.util.find_spec("torch") is None:
        return _mistake(
            "The other side of the measurement is PyTorch, which is not installed: "
            "pip install 'tfbio[torch]'"
        )
    # The checkout's tfbio, installed or not; child processes get the same path.
    sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
    use_onednn()
    where, others = machine(values.threads), OtherPrograms()
    measured: dict[str, dict[str, Any]] = {}
    for case in cases:
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        try:
            measured[case.name] = measure(case, values.repeats, values.threads)
        except DifferentWorkError as error:
            print(f"{case.name}: {error}", file=sys.stderr)
            return 1
    where["others"] = others.share()
    print(machine_line(where, measured[cases[0].name]["versions"]))
    print()
    if (where["others"] or 0) > _QUIET:
        print("Other programs were running: measure again when the machine is quiet.\n")
    print_table(_table(measured))
    print(
        f"Medians of {values.repeats} evaluations, each of all {len(SETS)} sets in batches of "
        f"{_BATCH}; a ratio is PyTorch's\ntime over tfbio's."
    )
    if values.output:
        figures = {"machine": where, "cases": measured}
        values.output.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def measure(case: Evaluation, repeats: int, threads: int) -> dict[str, Any]:
    """Both sides on the same files with the same weights, in turn.

    Returns:
        Seconds of every evaluation and of what goes before, by side; libraries' versions; seconds
        in which tfbio checks the files.

    Raises:
        DifferentWorkError: the losses or accuracies of a set differ.
    """
    turns: dict[str, list[dict[str, Any]]] = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory() as folder:
        root, weights = Path(folder, "Tiny-ImageNet-C"), Path(folder, "weights.npz")
        make_files(root, case.images)
        checking = _in_new_process(check_and_write_weights, case.model, root, weights)
        for _ in range(repeats):
            for side, evaluate in ((OURS, evaluate_ours), (THEIRS, evaluate_theirs)):
                turns[side].append(
                    _in_new_process(evaluate, case.model, root, SETS, weights, _BATCH, threads)
                )
    _compare(turns[OURS][-1], turns[THEIRS][-1], case.images)
    return {
        **asdict(case),
        "seconds": {side: [turn["seconds"] for turn in each] for side, each in turns.items()},
        "ready": {side: [turn["ready"] for turn in each] for side, each in turns.items()},
        "versions": {side: each[0]["version"] for side, each in turns.items()},
        "checking": checking,
    }


def make_files(root: Path, images: int) -> None:
    """Smooth textures with some noise, which JPEG makes about as large as photographs."""
    rng = np.random.default_rng(0)
    for corruption, severity in SETS:
        for number in range(images):
            # As in the real data set, a class has its images in a folder of its own.
            folder = root / corruption / str(severity) / f"n{number % _CLASSES:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(0, 256, (12, 12, 3), np.uint8)
            smooth = Image.fromarray(coarse).resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)
            noisy = np.asarray(smooth, float) + rng.normal(0, 8, (_SIZE, _SIZE, 3))
            image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
            image.save(folder / f"test_{number}.JPEG", quality=_QUALITY)


def _in_new_process(work: Callable[..., Any], *arguments: Any) -> Any:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def _compare(ours: dict[str, Any], theirs: dict[str, Any], images: int) -> None:
    errors = np.abs(np.array(ours["loss"]) / np.array(theirs["loss"]) - 1)
    # Logits that are all but equal may change places.
    other_answers = np.abs(np.array(ours["top1"]) - np.array(theirs["top1"])) * images
    if not (errors.max() <= _LOSS_TOLERANCE and other_answers.max() <= 1.5):
        raise DifferentWorkError(
            f"Expected the same figures on both sides, received losses that differ by up to "
            f"{errors.max():.1e} and up to {other_answers.max():.0f} other answers in a set."
        )


def _table(measured: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = [
        [
            "whole evaluation",
            "tfbio s",
            "PyTorch s",
            "ratio",
            "target",
            "met",
            "tfbio ready s",
            "PyTorch ready s",
            "tfbio checks files, once, s",
        ]
    ]
    for name, figures in measured.items():
        ours, theirs = (statistics.median(figures["seconds"][side]) for side in (OURS, THEIRS))
        ready = [statistics.median(figures["ready"][side]) for side in (OURS, THEIRS)]
        met = "yes" if theirs / ours >= _TARGET else "no"
        rows.append(
            [
                name,
                f"{ours:.1f}",
                f"{theirs:.1f}",
                f"{theirs / ours:.2f}x",
                f"{_TARGET:g}x",
                met,
                *(f"{seconds:.1f}" for seconds in ready),
                f"{figures['checking']:.1f}",
            ]
        )
    return rows


def _mistake(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


# === In the other process ===


def evaluate_ours(
    name: str,
    root: Path,
    sets: tuple[tuple[str, int], ...],
    weights: Path,
    batch_size: int,
    threads: int,
) -> dict[str, Any]:
    """All sets with tfbio; the weights are those that its seed gives."""
    start = time.perf_counter()
    model = _model(name, threads)
    import keras
    import tensorflow as tf

    import tfbio
    from tfbio.datasets.pipeline import evaluation_batches
    from tfbio.datasets.source import FileSplit
    from tfbio.evaluation import CorruptionRobustness

    ready = time.perf_counter() - start

    def batches(corruption: str, severity: int) -> Callable[[], tf.data.Dataset]:
        def make() -> tf.data.Dataset:
            split = FileSplit("test", *_listing(root / corruption / str(severity)))
            return evaluation_batches(split, batch_size, (_SIZE, _SIZE))

        return make

    start = time.perf_counter()
    table = CorruptionRobustness(model)((*each, batches(*each), 0) for each in sets)
    seconds = time.perf_counter() - start
    places = [
        (table.corruptions.index(corruption), table.severities.index(severity), 0)
        for corruption, severity in sets
    ]
    return {
        "ready": ready,
        "seconds": seconds,
        "top1": [float(table.top1[place]) for place in places],
        "loss": [float(table.loss[place]) for place in places],
        "version": f"tfbio {tfbio.__version__}, Keras {keras.__version__}, "
        f"TensorFlow {tf.__version__}",
    }


def check_and_write_weights(name: str, root: Path, weights: Path) -> float:
    """Write the weights for the other side; the answer is the seconds of a check of all files."""
    model = _model(name, threads=0)
    from tfbio.datasets.verification import check_images
    from tfbio.weights.state_dict import to_torch_state_dict

    np.savez(weights, **to_torch_state_dict(model, as_arrays=True))
    # Not to be remembered for another time.
    os.environ["XDG_CACHE_HOME"] = str(weights.parent)
    start = time.perf_counter()
    paths = [path for each in SETS for path, _ in _files(root / each[0] / str(each[1]))]
    check_images([Path(path) for path in paths])
    return time.perf_counter() - start


def _model(name: str, threads: int) -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    import tfbio

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(0)
    return tfbio.create_model(name, input_shape=(_SIZE, _SIZE, 3), classes=_CLASSES)


def _listing(folder: Path) -> tuple[list[str], list[int]]:
    paths, labels = zip(*_files(folder), strict=True)
    return list(paths), list(labels)


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Paths and labels: class folders in the order of their names."""
    for label, each in enumerate(sorted(os.scandir(folder), key=lambda entry: entry.name)):
        for name in sorted(os.listdir(each.path)):
            yield os.path.join(each.path, name), label


if __name__ == "__main__":
    sys.exit(main())
