"""Gabor parameters drawn from what was measured of neurons in primary visual cortex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr

from tfbio.errors import InputError
from tfbio.layers._seeds import check_seed

Distribution = Literal["neuronal", "uniform"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)

# Preferred orientation, degrees (De Valois, Yund & Hepler 1982).
_ORIENTATION_EDGES = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
_ORIENTATION_WEIGHTS = np.array([66, 49, 77, 54])
# Preferred spatial frequency, cycles per degree (De Valois, Albrecht & Thorell 1982).
_FREQUENCY_EDGES = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0])
_FREQUENCY_WEIGHTS = np.array([4, 4, 8, 25, 32, 26, 28, 12])
# Receptive field size over the period of the carrier, along and across it (Ringach 2002): neurons
# by their nx (rows) and their ny (columns).
_SIZE_EDGES = np.logspace(-1, 0.2, 6, base=10)
_SIZE_COUNTS = np.array(
    [[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]]
)
_LARGEST_UNIFORM_SIZE = 10**0.2


@dataclass(frozen=True, eq=False)
class GaborParameters:
    """Parameters of n Gabor filters, each an array (n,) of float64.

    Attributes:
        sf: spatial frequency, cycles per degree.
        theta: orientation, degrees.
        phase: of the carrier in the filter's centre, degrees.
        nx: standard deviation of the envelope along the carrier, in periods of the carrier.
        ny: the same across the carrier.
    """

    sf: np.ndarray
    theta: np.ndarray
    phase: np.ndarray
    nx: np.ndarray
    ny: np.ndarray

    def in_pixels(self, pixels_per_degree: float) -> dict[str, np.ndarray]:
        """The arguments of `GaborConv2D`: cycles per pixel, pixels and radians.

        Example:
            >>> parameters = sample_gabor_parameters(8).in_pixels(224 / 8)
            >>> sorted(parameters)
            ['phase', 'sf', 'sigma_x', 'sigma_y', 'theta']
        """
        sf = self.sf / pixels_per_degree
        return {
            "sf": sf,
            "theta": self.theta / 180 * np.pi,
            "sigma_x": self.nx / sf,
            "sigma_y": self.ny / sf,
            "phase": self.phase / 180 * np.pi,
        }


def sample_gabor_parameters(
    filters: int,
    seed: int = 0,
    distribution: Distribution = "neuronal",
    sf_corr: float = 0.75,
    sf_max: float = 9.0,
    sf_min: float = 0.0,
) -> GaborParameters:
    """Draw the parameters of a Gabor filter bank.

    Distributions, `"neuronal"`: orientation, spatial frequency and receptive field size have the
    histograms that were measured in the foveal primary visual cortex of macaques; size and
    frequency are correlated through a Gaussian copula. `"uniform"`: orientation is uniform, the
    logarithms of frequency and size are, and none depends on another. The phase is always uniform.

    Histograms end at edges: frequencies lie between the first edge at or above `sf_min` and the
    last at or below `sf_max`; 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8 cycles per degree are edges. With
    `"uniform"` an edge equal to `sf_max` is left out, as in the original.

    Args:
        filters: number of filters.
        seed: of NumPy's `RandomState`, an int from 0 to 2^32 - 1.
        distribution: `"neuronal"` or `"uniform"`.
        sf_corr: correlation of frequency and receptive field size, -1 to 1, if neuronal.
        sf_max: highest spatial frequency, cycles per degree.
        sf_min: lowest spatial frequency, cycles per degree.

    Returns:
        `GaborParameters`, those that the original draws from this seed. On CPUs without AVX-512,
        where NumPy rounds powers in another way, the last bit of frequencies and sizes may differ.

    Raises:
        InputError: an argument is out of range, or no frequency is.

    Reference:
        Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020), "Simulating a Primary Visual
        Cortex at the Front of CNNs Improves Robustness to Image Perturbations",
        doi:10.1101/2020.06.16.154542.

    Upstream:
        vonenet, params.py, `generate_gabor_param`. There NumPy's multivariate normal takes its
        signs from the linear algebra library; here they are those that the published networks have.

    Example:
        >>> parameters = sample_gabor_parameters(512, seed=0, sf_max=6)
        >>> parameters.sf.shape, bool(parameters.sf.max() <= 5.6)
        ((512,), True)
    """
    if not isinstance(filters, (int, np.integer)) or filters < 1:
        raise InputError(f"Expected `filters` to be an int of 1 or more, received {filters!r}.")
    if distribution not in DISTRIBUTIONS:
        raise InputError(
            f"Expected `distribution` to be one of {', '.join(DISTRIBUTIONS)}, received "
            f"{distribution!r}."
        )
    if not -1 <= sf_corr <= 1:
        raise InputError(f"Expected `sf_corr` from -1 to 1, a correlation, received {sf_corr}.")
    check_seed(seed, "seed")
    uniform = distribution == "uniform"
    edges, weights = _frequencies(sf_min, sf_max, uniform)
    rng = np.random.RandomState(seed)
    # The order of the draws is the original's.
    phase = 360 * rng.rand(filters)
    if uniform:
        theta = 180 * rng.rand(filters)
        sf = 2 ** _from_histogram(rng.rand(filters), np.log2(edges), weights)
        nx = 10 ** _from_histogram(rng.rand(filters), [-1.0, np.log10(_LARGEST_UNIFORM_SIZE)], [1])
        ny = 10 ** _from_histogram(rng.rand(filters), [-1.0, np.log10(_LARGEST_UNIFORM_SIZE)], [1])
        return GaborParameters(sf, theta, phase, nx, ny)
    theta = _from_histogram(rng.rand(filters), _ORIENTATION_EDGES, _ORIENTATION_WEIGHTS)
    theta[theta < 0] += 180
    uniforms = ndtr(_correlated_normals(rng, filters, sf_corr))
    log_edges = np.log10(_SIZE_EDGES)
    # Weights are divided by their sum once more than needed, as the original's last bits tell.
    marginal = _SIZE_COUNTS.sum(axis=1) / _SIZE_COUNTS.sum()
    joint = _SIZE_COUNTS / _SIZE_COUNTS.sum()
    nx = 10 ** _from_histogram(uniforms[:, 0], log_edges, marginal)
    row = np.searchsorted(_SIZE_EDGES, nx, side="left") - 1
    ny = 10 ** np.array(
        [
            _from_histogram(draw, log_edges, joint[each])
            for draw, each in zip(rng.rand(filters), row, strict=True)
        ]
    )
    sf = 2 ** _from_histogram(uniforms[:, 1], np.log2(edges), weights)
    return GaborParameters(sf, theta, phase, nx, ny)


def sample_channels(filters: int, seed: int = 0, colors: int = 3) -> np.ndarray:
    """Draw the colour channel that each filter of two banks looks at, as the original does.

    Args:
        filters: number of filters of a bank.
        seed: of PyTorch's generator, an int from 0 to 2^32 - 1.
        colors: number of channels of the image.

    Returns:
        int64 (2, filters), for one phase of the quadrature pairs and for the other. They are
        independent: in the original the two phases of a pair mostly see different colours.

    Example:
        >>> sample_channels(6, seed=0)
        array([[2, 0, 2, 0, 1, 0],
               [1, 1, 1, 0, 2, 2]])
    """
    check_seed(seed, "seed")
    # PyTorch's generator is the same Mersenne twister, and takes the remainder of its raw numbers.
    raw = np.random.RandomState(seed).randint(0, 2**32, size=2 * filters, dtype=np.uint64)
    return (raw % np.uint64(colors)).astype(np.int64).reshape(2, filters)


def _frequencies(sf_min: float, sf_max: float, uniform: bool) -> tuple[np.ndarray, np.ndarray]:
    """Edges and weights of the histogram of spatial frequencies within the limits."""
    edges = _FREQUENCY_EDGES
    below = edges < sf_max if uniform else edges <= sf_max
    allowed = np.flatnonzero(below & (edges >= sf_min))
    if len(allowed) < 2:
        raise InputError(
            f"Expected `sf_min` and `sf_max` with at least two of {edges.tolist()} "
            f"cycles per degree between them, received {sf_min} and {sf_max}."
        )
    first, last = allowed[0], allowed[-1]
    weights = np.ones(len(_FREQUENCY_WEIGHTS)) if uniform else _FREQUENCY_WEIGHTS
    return edges[first : last + 1], weights[first:last]


def _from_histogram(
    draws: np.ndarray, edges: Sequence[float] | np.ndarray, weights: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Uniform draws to values that have a histogram, uniform within each bin."""
    cumulative = np.append(0, np.cumsum(weights / np.sum(weights)))
    return np.interp(draws, cumulative, edges)


def _correlated_normals(rng: np.random.RandomState, number: int, correlation: float) -> np.ndarray:
    """NumPy's `multivariate_normal` of two variables of variance 1, with fixed signs."""
    independent = rng.standard_normal((number, 2))
    _, variances, directions = np.linalg.svd([[1.0, correlation], [correlation, 1.0]])
    if correlation:
        # The sign of a singular vector is free; these are of the library that the original used.
        signs = np.array([-1.0, -np.sign(correlation)])
        directions *= (signs * np.sign(directions[:, 0]))[:, np.newaxis]
    return independent @ (np.sqrt(variances)[:, np.newaxis] * directions)
