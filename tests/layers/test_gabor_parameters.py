from __future__ import annotations

import math

import numpy as np
import pytest
from golden_data import GOLDEN, load_case
from scipy import stats

from tfbio.layers import sample_channels, sample_gabor_parameters

SETS = load_case("vone_gabor_params")
# Their name of a converted parameter to ours.
CONVERTED = {
    "sf": "sf",
    "theta": "theta",
    "sigx": "sigma_x",
    "sigy": "sigma_y",
    "phase": "phase",
}
CASES = sorted(path.stem for path in GOLDEN.glob("vone_*.npz") if path.stem != "vone_gabor_params")


# === The original's numbers ===


def _assert_drawn(ours, theirs, name, ulps):
    """Equal to the last bit, but for what a power is rounded to.

    Spatial frequencies and sizes are powers of uniform draws. NumPy computes `power` with one
    library on CPUs with AVX-512, as where the originals' numbers were drawn, and with another
    elsewhere: one value in 25 differs by a rounding. The draws themselves are the same everywhere,
    so nearly all values are too.
    """
    assert ours.dtype == np.float64
    if ulps == 0:
        np.testing.assert_array_equal(ours, theirs, name)
    else:
        np.testing.assert_array_max_ulp(ours, theirs, maxulp=ulps)
        assert np.sum(ours != theirs) <= 1 + len(ours) // 8, name


@pytest.mark.parametrize("number", range(3))
def test_draws_the_originals_parameters(number):
    config, arrays = SETS
    drawn = config["sets"][number]
    parameters = sample_gabor_parameters(
        drawn["features"],
        drawn["seed"],
        "uniform" if drawn["rand_flag"] else "neuronal",
        drawn["sf_corr"],
        drawn["sf_max"],
        drawn["sf_min"],
    )
    for name, ulps in {"theta": 0, "phase": 0, "sf": 1, "nx": 1, "ny": 1}.items():
        _assert_drawn(getattr(parameters, name), arrays[f"{number}/{name}"], name, ulps)


def test_all_cases_are_there():
    assert len(SETS[0]["sets"]) == 3
    assert len(CASES) == 7


@pytest.mark.parametrize("case", CASES)
def test_filters_of_every_case_in_pixels(case):
    config, arrays = load_case(case)
    parameters = sample_gabor_parameters(
        len(arrays["sf"]),
        config["gabor_seed"],
        "uniform" if config["rand_param"] else "neuronal",
        *(config[name] for name in ("sf_corr", "sf_max", "sf_min") if name in config),
    )
    in_pixels = parameters.in_pixels(config["image_size"] / config["visual_degrees"])
    assert set(in_pixels) == set(CONVERTED.values())
    # One division behind a power adds a rounding, the second, of two powers, two.
    ulps = {"theta": 0, "phase": 0, "sf": 2, "sigma_x": 4, "sigma_y": 4}
    for theirs, ours in CONVERTED.items():
        _assert_drawn(in_pixels[ours], arrays[theirs], theirs, ulps[ours])


@pytest.mark.parametrize("case", [case for case in CASES if case != "vone_kernels_0"])
def test_channels_of_every_case(case):
    config, arrays = load_case(case)
    drawn = sample_channels(len(arrays["sf"]), config["torch_seed"])
    np.testing.assert_array_equal(drawn, [arrays["channel_q0"], arrays["channel_q1"]])


@pytest.mark.parametrize(("seed", "colors"), [(0, 3), (7, 3), (2**32 - 1, 3), (1, 1), (1, 4)])
def test_channels_are_those_that_pytorch_draws(seed, colors):
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    generator = torch.Generator().manual_seed(seed)
    expected = [torch.randint(0, colors, (700,), generator=generator).numpy() for _ in range(2)]
    np.testing.assert_array_equal(sample_channels(700, seed, colors), expected)


# === The distributions ===


@pytest.mark.parametrize(
    ("distribution", "sf_min", "sf_max", "lowest", "highest"),
    [
        ("neuronal", 0, 9, 0.5, 8),
        ("neuronal", 0, 8, 0.5, 8),
        ("neuronal", 0, 6, 0.5, 5.6),
        ("neuronal", 0, 5.6, 0.5, 5.6),
        ("neuronal", 0, 5.5, 0.5, 4),
        ("neuronal", 1, 9, 1, 8),
        ("neuronal", 0.6, 3, 0.7, 2.8),
        ("neuronal", 2, 2.8, 2, 2.8),
        ("uniform", 0, 9, 0.5, 8),
        # An edge that is the limit is left out.
        ("uniform", 0, 8, 0.5, 5.6),
        ("uniform", 0, 6, 0.5, 5.6),
        ("uniform", 0, 5.6, 0.5, 4),
        ("uniform", 0.5, 1.1, 0.5, 1),
    ],
)
def test_frequencies_lie_between_edges(distribution, sf_min, sf_max, lowest, highest):
    sf = sample_gabor_parameters(20000, 0, distribution, sf_max=sf_max, sf_min=sf_min).sf
    assert lowest <= sf.min() < 1.01 * lowest
    # The top bins hold 12 of 139 cells and more.
    assert 0.99 * highest < sf.max() <= highest


def _assert_histogram(values, edges, weights):
    """Counts in bins are those of the weights: five standard deviations of the binomial."""
    counts, _ = np.histogram(values, edges)
    assert counts.sum() == len(values)
    share = np.array(weights) / np.sum(weights)
    deviation = np.sqrt(len(values) * share * (1 - share))
    assert (np.abs(counts - len(values) * share) <= 5 * deviation).all(), counts


def _assert_uniform(values, low, high):
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-4


FREQUENCY_EDGES = [0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8]


def test_neurons_have_the_histograms_that_were_measured():
    cells = sample_gabor_parameters(100_000, 3)
    # The first bin reaches below 0, which is 180 degrees.
    assert cells.theta.min() >= 0
    assert cells.theta.max() <= 180
    angles = np.where(cells.theta > 157.5, cells.theta - 180, cells.theta)
    _assert_histogram(angles, [-22.5, 22.5, 67.5, 112.5, 157.5], [66, 49, 77, 54])
    _assert_uniform(angles[(angles > 22.5) & (angles < 67.5)], 22.5, 67.5)
    _assert_histogram(cells.sf, FREQUENCY_EDGES, [4, 4, 8, 25, 32, 26, 28, 12])
    within = cells.sf[(cells.sf > 4) & (cells.sf < 5.6)]
    _assert_uniform(np.log(within), math.log(4), math.log(5.6))
    _assert_uniform(cells.phase, 0, 360)
    edges = 10 ** np.linspace(-1, 0.2, 6)
    joint = [[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]]
    _assert_histogram(cells.nx, edges, np.sum(joint, axis=1))
    # No cell was as large as the last row, and none is.
    for row in range(4):
        of_row = (cells.nx > edges[row]) & (cells.nx <= edges[row + 1])
        _assert_histogram(cells.ny[of_row], edges, joint[row])


@pytest.mark.parametrize("correlation", [0.75, 0.3, 0.0, -0.5, 1.0, -1.0])
def test_size_and_frequency_are_correlated_through_a_gaussian(correlation):
    cells = sample_gabor_parameters(50_000, 1, sf_corr=correlation)
    # Rank correlation of a Gaussian copula; its standard error is below 1 / sqrt(n).
    expected = 6 / math.pi * math.asin(correlation / 2)
    found = stats.spearmanr(cells.nx, cells.sf).statistic
    assert found == pytest.approx(expected, abs=5 / math.sqrt(50_000))


def test_uniform_ones_depend_on_nothing():
    cells = sample_gabor_parameters(50_000, 2, "uniform")
    _assert_uniform(cells.theta, 0, 180)
    _assert_uniform(cells.phase, 0, 360)
    _assert_uniform(np.log10(cells.nx), -1, 0.2)
    _assert_uniform(np.log10(cells.ny), -1, 0.2)
    _assert_histogram(cells.sf, FREQUENCY_EDGES, [1] * 8)
    columns = [cells.sf, cells.theta, cells.phase, cells.nx, cells.ny]
    correlations = stats.spearmanr(np.stack(columns, axis=1)).statistic
    assert np.max(np.abs(correlations - np.eye(5))) < 5 / math.sqrt(50_000)


@pytest.mark.parametrize("distribution", ["neuronal", "uniform"])
def test_draws_depend_on_the_seed_alone(distribution):
    np.random.seed(5)  # noqa: NPY002
    first = sample_gabor_parameters(9, 4, distribution)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    again = sample_gabor_parameters(9, 4, distribution)
    other = sample_gabor_parameters(9, 5, distribution)
    for name in ("sf", "theta", "phase", "nx", "ny"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert (getattr(first, name) != getattr(other, name)).all()
    # The user's own generator is left alone.
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_units_are_converted():
    parameters = sample_gabor_parameters(5, 0)
    in_pixels = parameters.in_pixels(20)
    np.testing.assert_allclose(in_pixels["sf"] * 20, parameters.sf, rtol=1e-14)
    np.testing.assert_allclose(np.degrees(in_pixels["theta"]), parameters.theta, rtol=1e-14)
    np.testing.assert_allclose(np.degrees(in_pixels["phase"]), parameters.phase, rtol=1e-14)
    periods = 20 / parameters.sf
    np.testing.assert_allclose(in_pixels["sigma_x"], parameters.nx * periods, rtol=1e-14)
    np.testing.assert_allclose(in_pixels["sigma_y"], parameters.ny * periods, rtol=1e-14)


# === Mistakes ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "Expected `filters` to be an int of 1 or more, received 0"),
        ({"filters": 2.5}, "Expected `filters` to be an int of 1 or more, received 2.5"),
        (
            {"distribution": "random"},
            "Expected `distribution` to be one of neuronal, uniform, received 'random'",
        ),
        ({"sf_corr": 1.5}, "Expected `sf_corr` from -1 to 1, a correlation, received 1.5"),
        ({"sf_corr": math.nan}, "Expected `sf_corr` from -1 to 1, a correlation, received nan"),
        (
            {"sf_max": 0.6},
            "at least two of .* cycles per degree between them, received 0.0 and 0.6",
        ),
        ({"sf_min": 6}, "at least two of .* cycles per degree between them, received 6 and 9.0"),
        ({"sf_min": 3, "sf_max": 2}, "at least two of .* received 3 and 2"),
        ({"sf_max": math.nan}, "at least two of .* received 0.0 and nan"),
        (
            {"distribution": "uniform", "sf_min": 5, "sf_max": 8},
            "at least two of .* received 5 and 8",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_gabor_parameters(**{"filters": 4, **arguments})
