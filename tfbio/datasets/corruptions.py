"""The fifteen corruptions of ImageNet-C, for any image, each a function of the image and a seed.

TensorFlow Datasets and `imagecorruptions` have them, both after the published code; each is taken
from the one whose result is as published. What neither gets right with today's libraries is
mended here, and said where it is. The strengths are those of ImageNet-C, and its lengths are
pixels of a 224 px image: the same blur takes more from a smaller image.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import importlib.util
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tfbio._lazy import lazy_module
from tfbio.datasets.names import CORRUPTIONS, SEVERITIES, CorruptionName
from tfbio.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = lazy_module("tensorflow")

CORRUPTION_GROUPS: dict[str, tuple[CorruptionName, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}

# The smallest image that `imagecorruptions` is written for.
_MINIMUM_SIDE = 32
# One more than the pixels of the longest motion blur.
_LONGEST_STREAK = 42
_PUBLISHED_SIDE = 224

Corrupting = Callable[[NDArray[np.uint8], int, np.random.RandomState], NDArray[Any]]


def corrupt(
    image: NDArray[np.uint8], corruption: CorruptionName, severity: int, seed: int | Sequence[int]
) -> NDArray[np.uint8]:
    """An image with one of ImageNet-C's corruptions.

    NumPy's global generator is neither used nor changed, so that threads do not disturb each
    other.

    Args:
        image: (H, W, 3), uint8, at least 32 px high and wide.
        corruption: one of `CORRUPTIONS`.
        severity: 1 (weakest) to 5.
        seed: one integer or several; decides every random draw.

    Returns:
        uint8 array (H, W, 3).

    Raises:
        UnknownNameError: there is no such corruption.
        InputError: the severity, or the image's type or size, is not as expected, or a library
            of the extra `corruptions` is not installed.

    Reference:
        Hendrycks & Dietterich (2019), doi:10.48550/arXiv.1903.12261

    Example:
        >>> import numpy as np
        >>> gray = np.full((32, 48, 3), 100, np.uint8)
        >>> corrupt(gray, "brightness", severity=2, seed=0)[0, 0].tolist()
        [151, 151, 151]
    """
    _check(corruption, severity)
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"Expected an RGB image (H, W, 3) of type uint8, received {image.shape} of type "
            f"{image.dtype}."
        )
    check_size(image.shape[:2])
    entropy = [int(each) % 2**64 for each in np.atleast_1d(seed)]
    # The libraries draw from this older generator, whose streams NumPy has promised to keep.
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(entropy)))
    levels = _CORRUPTING[corruption](image, int(severity), random)
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)


@dataclass(frozen=True)
class Corruption:
    """One of ImageNet-C's corruptions at one severity, for `tf.data`.

    Args:
        name: one of `CORRUPTIONS`.
        severity: 1 (weakest) to 5.

    Raises:
        UnknownNameError: there is no such corruption.
        InputError: the severity is none of the five, or a library of the extra `corruptions` is
            not installed.

    Example:
        >>> import tensorflow as tf
        >>> corruption = Corruption("contrast", severity=5)
        >>> tuple(corruption(tf.zeros((64, 64, 3)), seed=(1, 2)).shape)
        (64, 64, 3)
    """

    name: CorruptionName
    severity: int

    def __post_init__(self) -> None:
        _check(self.name, self.severity)
        # Here rather than in a graph, where one sentence would become a page.
        _libraries()

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The corrupted image, see `corrupt`.

        Args:
            image: (H, W, 3) in [0, 255], uint8, or float32 that is rounded to whole levels.
            seed: two integers.

        Returns:
            float32 tensor (H, W, 3) in [0, 255].

        Raises:
            InputError: the image is too small, see `check_size`.
        """
        shape = image.shape
        if shape[:2].is_fully_defined():
            check_size(shape[:2])

        def drawn(levels: NDArray[np.uint8], seed: NDArray[Any]) -> NDArray[np.float32]:
            return corrupt(levels, self.name, self.severity, seed.tolist()).astype(np.float32)

        levels = tf.saturate_cast(tf.round(image), tf.uint8)
        corrupted = tf.numpy_function(drawn, [levels, seed], tf.float32, stateful=False)
        return tf.ensure_shape(corrupted, shape)


def _check(corruption: str, severity: int) -> None:
    if corruption not in CORRUPTIONS:
        raise UnknownNameError("corruption", corruption, CORRUPTIONS)
    if severity not in SEVERITIES:
        raise InputError(f"Expected a severity of 1, 2, 3, 4 or 5, received {severity}.")


def check_size(size: Sequence[int]) -> None:
    """Refuse images that are too small to be corrupted.

    Args:
        size: (height, width), pixels.

    Raises:
        InputError: one side is shorter than 32 px.
    """
    if min(size) < _MINIMUM_SIDE:
        raise InputError(
            f"Expected an image of at least {_MINIMUM_SIDE} x {_MINIMUM_SIDE} pixels to corrupt, "
            f"received {size[0]} x {size[1]}: use a larger image size."
        )


# === The libraries ===


@dataclass(frozen=True)
class _Libraries:
    """The modules that the corruptions are made of."""

    cv2: Any
    ndimage: Any
    skimage_filters: Any
    skimage_util: Any
    tfds: types.ModuleType
    imagecorruptions: types.ModuleType


_loading = threading.Lock()


def _libraries() -> _Libraries:
    with _loading:
        return _loaded_libraries()


@functools.cache
def _loaded_libraries() -> _Libraries:
    try:
        return _Libraries(
            cv2=importlib.import_module("cv2"),
            ndimage=importlib.import_module("scipy.ndimage"),
            skimage_filters=importlib.import_module("skimage.filters"),
            skimage_util=importlib.import_module("skimage.util"),
            tfds=importlib.import_module("tensorflow_datasets.image_classification.corruptions"),
            imagecorruptions=_imagecorruptions(),
        )
    except ImportError as error:
        # OpenCV that is there and does not load is the one with windows, on a machine without.
        remedy = (
            "pip install 'tfbio[corruptions]'"
            if isinstance(error, ModuleNotFoundError)
            else "pip install --force-reinstall --no-deps opencv-python-headless"
        )
        raise InputError(
            "Expected the libraries behind the corruptions (scikit-image, OpenCV, "
            f"imagecorruptions), received the error {str(error)!r}: {remedy}."
        ) from error


def _imagecorruptions() -> types.ModuleType:
    """A copy of `imagecorruptions.corruptions` of our own, which needs nothing that is gone.

    The module asks for `pkg_resources`, which setuptools 82 dropped, and for a name of SciPy's
    that warns; its own copy leaves `sys.modules` and the warning filters alone.
    """
    package = importlib.util.find_spec("imagecorruptions")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'imagecorruptions'")
    folder = Path(package.origin).parent
    instead = {
        "pkg_resources": types.SimpleNamespace(
            resource_filename=lambda package, name: str(folder / name)
        ),
        "scipy.ndimage.interpolation": importlib.import_module("scipy.ndimage"),
    }

    def imported(name: str, *args: Any) -> Any:
        return instead[name] if name in instead else builtins.__import__(name, *args)

    spec = importlib.util.spec_from_file_location(
        "imagecorruptions.corruptions", folder / "corruptions.py"
    )
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module in {folder}")
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": imported}
    spec.loader.exec_module(module)
    # Its pictures of frost are read once, not for every image.
    cv2 = vars(module)["cv2"]
    vars(module)["cv2"] = types.SimpleNamespace(
        **{**vars(cv2), "imread": functools.cache(cv2.imread)}
    )
    return module


def _drawing_from(module: types.ModuleType, random: np.random.RandomState) -> dict[str, Any]:
    """The functions of a module, with `np.random` replaced by a generator of ours.

    A seed in the global generator would not do: another thread may draw from it between two
    draws. `np.float_`, which NumPy 2 dropped and `imagecorruptions` uses, is there as well.
    """
    numpy = types.SimpleNamespace(**{**vars(np), "random": random, "float_": np.float64})
    scope = {**vars(module), "np": numpy}
    for name, value in vars(module).items():
        if isinstance(value, types.FunctionType) and value.__globals__ is vars(module):
            scope[name] = types.FunctionType(value.__code__, scope, name, value.__defaults__)
    return scope


def _of_tfds(name: str) -> Corrupting:
    def corrupting(
        image: NDArray[np.uint8], severity: int, random: np.random.RandomState
    ) -> NDArray[Any]:
        return _drawing_from(_libraries().tfds, random)[name](image, severity)

    return corrupting


def _of_imagecorruptions(name: str) -> Corrupting:
    def corrupting(
        image: NDArray[np.uint8], severity: int, random: np.random.RandomState
    ) -> NDArray[Any]:
        function = _drawing_from(_libraries().imagecorruptions, random)[name]
        return np.asarray(function(Image.fromarray(image), severity))

    return corrupting


# === What is mended ===


def _impulse_noise(
    image: NDArray[np.uint8], severity: int, random: np.random.RandomState
) -> NDArray[Any]:
    """Salt and pepper; scikit-image no longer draws it from NumPy's global generator."""
    amount = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    return 255 * _libraries().skimage_util.random_noise(
        image / 255, mode="s&p", amount=amount, rng=random.randint(2**31)
    )


def _motion_blur(
    image: NDArray[np.uint8], severity: int, random: np.random.RandomState
) -> NDArray[Any]:
    """A streak that is longer than the image is cut off by the library, and the image darkened."""
    if min(image.shape[:2]) < _LONGEST_STREAK:
        margin = ((_LONGEST_STREAK, _LONGEST_STREAK), (_LONGEST_STREAK, _LONGEST_STREAK), (0, 0))
        inside = slice(_LONGEST_STREAK, -_LONGEST_STREAK)
        image = np.pad(image, margin, mode="edge")
        return _of_imagecorruptions("motion_blur")(image, severity, random)[inside, inside]
    return _of_imagecorruptions("motion_blur")(image, severity, random)


def _glass_blur(
    image: NDArray[np.uint8], severity: int, random: np.random.RandomState
) -> NDArray[Any]:
    """The libraries' loop over pixels without the loop, equal to it bit for bit."""
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[
        severity - 1
    ]
    gaussian = functools.partial(
        _libraries().skimage_filters.gaussian, sigma=sigma, channel_axis=-1
    )
    pixels = (gaussian(image / 255) * 255).astype(np.uint8)
    for _ in range(rounds):
        pixels = _displaced(pixels, reach, random)
    return 255 * gaussian(pixels / 255)


def _displaced(
    pixels: NDArray[np.uint8], reach: int, random: np.random.RandomState
) -> NDArray[np.uint8]:
    """Every pixel in turn, from the last to the first, gets the present colour of a near one.

    The published code means to exchange the two, but overwrites the first before it is read.
    """
    height, width = pixels.shape[:2]
    count = height * width
    rows, columns = (np.arange(side - reach, reach, -1) for side in (height, width))
    pixel = (rows[:, np.newaxis] * width + columns).ravel()
    shift = random.randint(-reach, reach, size=(len(pixel), 2))
    near = pixel + shift[:, 0] + shift[:, 1] * width
    # Where a colour comes from: number i is pixel i before its turn, i + count after it.
    origin = np.tile(np.arange(count), 2)
    origin[pixel + count] = np.where(near > pixel, near + count, near)
    while (origin >= count).any():
        origin = origin[origin]
    return pixels.reshape(count, -1)[origin[count:]].reshape(pixels.shape)


def _elastic_transform(
    image: NDArray[np.uint8], severity: int, random: np.random.RandomState
) -> NDArray[Any]:
    """A random affine map, then a random field of displacements.

    TFDS has the published lengths in pixels of a 224 px image, by which one of 64 px is torn apart,
    and `imagecorruptions` has others; here the published ones shrink and grow with the image.
    """
    libraries = _libraries()
    height, width = image.shape[:2]
    scale = min(height, width) / _PUBLISHED_SIDE
    # In units of 244 px, the published code's side of an image of 224.
    amplitude, sigma, corner = (
        244 * length * scale
        for length in (
            (2, 0.7, 0.1),
            (2, 0.08, 0.2),
            (0.05, 0.01, 0.02),
            (0.07, 0.01, 0.02),
            (0.12, 0.01, 0.02),
        )[severity - 1]
    )
    third = min(height, width) // 3
    corners = np.array(((1, 1), (1, -1), (-1, -1))) * third + (width // 2, height // 2)
    moved = corners + random.uniform(-corner, corner, size=(3, 2))
    affine = libraries.cv2.getAffineTransform(np.float32(corners), np.float32(moved))
    warped = libraries.cv2.warpAffine(
        image.astype(np.float32),
        affine,
        (width, height),
        borderMode=libraries.cv2.BORDER_REFLECT_101,
    )

    def displacement() -> NDArray[np.float64]:
        field = random.uniform(-1, 1, size=(height, width))
        # The fewer pixels are averaged, the larger the average: a second time the scale.
        return (
            amplitude
            * scale
            * libraries.skimage_filters.gaussian(field, sigma, mode="reflect", truncate=3)
        )

    right, down = displacement(), displacement()
    y, x = np.mgrid[:height, :width]
    channels = [
        libraries.ndimage.map_coordinates(
            warped[..., channel], (y + down, x + right), order=1, mode="reflect"
        )
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1)


def _pixelate(
    image: NDArray[np.uint8], severity: int, random: np.random.RandomState
) -> NDArray[Any]:
    """TFDS leaves the filter to Pillow, whose default has become bicubic: a blur without blocks.

    `imagecorruptions` places the blocks otherwise where they do not fill the image evenly.
    """
    ratio = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width = image.shape[:2]
    box = Image.Resampling.BOX
    blocks = Image.fromarray(image).resize((int(width * ratio), int(height * ratio)), box)
    return np.asarray(blocks.resize((width, height), box))


_CORRUPTING: dict[CorruptionName, Corrupting] = {
    "gaussian_noise": _of_tfds("gaussian_noise"),
    "shot_noise": _of_tfds("shot_noise"),
    "impulse_noise": _impulse_noise,
    "defocus_blur": _of_tfds("defocus_blur"),
    "glass_blur": _glass_blur,
    # TFDS blurs in one direction only, and by a program that is not there.
    "motion_blur": _motion_blur,
    "zoom_blur": _of_tfds("zoom_blur"),
    "snow": _of_imagecorruptions("snow"),
    "frost": _of_imagecorruptions("frost"),
    # The fog of TFDS is a corner of a larger cloud than the published one.
    "fog": _of_imagecorruptions("fog"),
    "brightness": _of_tfds("brightness"),
    "contrast": _of_tfds("contrast"),
    "elastic_transform": _elastic_transform,
    "pixelate": _pixelate,
    "jpeg_compression": _of_tfds("jpeg_compression"),
}
