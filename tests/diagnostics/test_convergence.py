"""Effective sample size and split R-hat: ArviZ's numbers, and the worth of a known process."""

import functools

import numpy as np
import pytest
from laws import FEW, caught
from scipy.signal import lfilter

from jaxanneal._diagnostics import convergence
from jaxanneal._diagnostics.convergence import effective_sample_size, split_rhat

CELLS = 6


def autoregressive(phi, records, ladders, cells=CELLS, seed=0):
    """Return draws ``[records, ladders, cells]`` of x' = phi x + noise, from equilibrium."""
    noise = np.random.default_rng(seed).standard_normal((records, ladders, cells))
    noise[0] /= np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise, axis=0)


def shifted(records, ladders):
    return autoregressive(0.3, records, ladders) + np.arange(ladders)[:, None]


def widened(records, ladders):
    return autoregressive(0.3, records, ladders) * (1 + np.arange(ladders)[:, None])


SERIES = {
    "independent": functools.partial(autoregressive, 0.0),
    "slow": functools.partial(autoregressive, 0.95),
    "antithetic": functools.partial(autoregressive, -0.7),
    "tied": lambda *size: np.round(autoregressive(0.5, *size)),
    "shifted": shifted,
    "widened": widened,
    "a random walk": lambda *size: np.cumsum(autoregressive(0.0, *size), axis=0),
    "infinite": lambda *size: np.where((x := autoregressive(0.5, *size)) > 2, np.inf, x),
    "two-valued": lambda *size: np.sign(autoregressive(0.5, *size)),
}
SIZES = [(4, 2), (7, 3), (10, 5), (12, 2), (101, 4), (1000, 2)]


@pytest.fixture(scope="module")
def az():
    import arviz

    return arviz


def arviz_law(measure, reference, draws):
    """Compare each cell with ArviZ, up to the summation of floats."""
    theirs = [float(reference(cell.T)) for cell in np.moveaxis(draws, -1, 0)]
    np.testing.assert_allclose(measure(draws), theirs, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning:arviz")
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", SERIES)
def test_numbers_are_those_of_arviz(name, size, az):
    draws = SERIES[name](*size)
    # Not where all are equal: ArviZ counts these draws, we do not.
    draws = draws[..., np.ptp(np.nan_to_num(draws, posinf=9), axis=(0, 1)) > 0]
    arviz_law(effective_sample_size, az.ess, draws)
    arviz_law(split_rhat, az.rhat, draws)


def test_one_ladder_is_arvizs_too(az):
    for make in SERIES.values():
        arviz_law(effective_sample_size, az.ess, make(200, 1))
    # Its R-hat ArviZ refuses, but not that of two ladders made of its halves, not split again.
    drifting = autoregressive(0.9, 200, 1)
    halves = np.concatenate([drifting[:100], drifting[100:]], axis=1)
    scores, distances = (
        np.moveaxis(convergence._normal_scores(np.moveaxis(x, (2, 1), (0, 1))), (0, 1), (2, 1))
        for x in (halves, np.abs(halves - np.median(halves, axis=(0, 1))))
    )
    identity = functools.partial(az.rhat, method="identity")
    plain = [
        [float(identity(cell.T)) for cell in np.moveaxis(x, -1, 0)] for x in (scores, distances)
    ]
    np.testing.assert_allclose(split_rhat(drifting), np.max(plain, axis=0), rtol=1e-6)


def circular(halves):
    """The autocorrelation with ends that meet."""
    power = np.abs(np.fft.fft(halves - halves.mean(axis=-1, keepdims=True))) ** 2
    covariance = np.fft.ifft(power.mean(axis=1)).real
    return covariance[:, : 2 * (halves.shape[-1] // 4)] / covariance[:, :1]


TWINS = {
    "ends that meet": ("_correlation", circular, "slow"),
    "no ranks": ("_normal_scores", lambda halves: halves, "widened"),
    "places from one": (
        "_quantiles",
        lambda count: convergence.statistics.NormalDist().inv_cdf(0.5) + np.arange(2 * count - 1),
        "slow",
    ),
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_size_is_not_that_of_arviz(twin, az, monkeypatch):
    part, broken, series = TWINS[twin]
    monkeypatch.setattr(convergence, part, broken)
    caught(arviz_law, effective_sample_size, az.ess, SERIES[series](101, 4))


def test_a_broken_rhat_is_not_that_of_arviz(az, monkeypatch):
    caught(arviz_law, lambda draws: split_rhat(draws[: len(draws) // 2]), az.rhat, shifted(101, 4))
    monkeypatch.setattr(convergence, "_larger_rhat", lambda x: convergence._rhat(x))
    caught(arviz_law, split_rhat, az.rhat, widened(101, 4))


def closed_form_law(measure, phi):
    """Compare with S (1 - phi) / (1 + phi), the worth of S draws of the process.

    32 independent estimates; a false alarm has probability 6e-7 (5 standard errors). Besides, each
    estimate is biased: the sum ends where noise of standard deviation 1 / sqrt(S) = 0.4 % hides the
    autocorrelation, and a handful of lags there make 3 % at most. Halves of 2,000 records add
    less than tau / 2,000 = 1 %.
    """
    records, ladders = 4000, 16
    draws = autoregressive(phi, records, ladders, cells=32, seed=1)
    worth = measure(draws) / (records * ladders * (1 - phi) / (1 + phi))
    error = worth.std(ddof=1) / np.sqrt(worth.size)
    assert abs(worth.mean() - 1) < FEW * error + 0.04, (worth.mean(), error)


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9])
def test_size_is_the_closed_form_of_an_autoregressive_process(phi):
    closed_form_law(effective_sample_size, phi)


def test_a_size_that_counts_each_lag_once_or_ignores_some_is_caught():
    def once(draws):  # tau = 1 + sum instead of 1 + 2 sum
        count = draws.shape[0] * draws.shape[1]
        return count / (0.5 * (1 + count / effective_sample_size(draws)))

    caught(closed_form_law, once, 0.5)
    caught(closed_form_law, lambda draws: effective_sample_size(draws[::2]), 0.5)
    caught(closed_form_law, lambda draws: 0 * draws[0, 0] + draws[..., 0].size, -0.5)


def rank_law(measure, change, rtol):
    draws = autoregressive(0.8, 300, 4)
    np.testing.assert_allclose(measure(change(draws)), measure(draws), rtol=rtol)


def test_sizes_depend_on_the_order_of_draws_alone():
    rank_law(effective_sample_size, lambda x: np.exp(3 * x), 0)
    rank_law(effective_sample_size, lambda x: x[::-1], 1e-9)
    rank_law(split_rhat, lambda x: 2 * x, 0)
    rank_law(split_rhat, lambda x: -x[:, ::-1], 1e-9)
    caught(rank_law, effective_sample_size, lambda x: x**2, 1e-9)
    caught(rank_law, split_rhat, np.exp, 1e-9)  # it looks at distances from the median too


def agreement_law(measure, draws, agree):
    assert ((measure(draws) < 1.05) == agree).all()


def test_rhat_tells_ladders_that_agree_from_those_that_do_not():
    drift = np.linspace(0, 3, 1000)[:, None, None]
    agreement_law(split_rhat, autoregressive(0.5, 1000, 8), True)
    agreement_law(split_rhat, shifted(1000, 8), False)
    agreement_law(split_rhat, widened(1000, 8), False)
    agreement_law(split_rhat, autoregressive(0.0, 1000, 8) + drift, False)
    agreement_law(split_rhat, autoregressive(0.0, 1000, 1) + drift, False)

    def unsplit(draws):  # ladders that drift alike agree
        return convergence._rhat(np.moveaxis(draws, (2, 1, 0), (0, 1, 2)))

    caught(agreement_law, unsplit, autoregressive(0.0, 1000, 8) + drift, False)


@pytest.mark.parametrize("measure", [effective_sample_size, split_rhat])
def test_what_tells_nothing_is_nan_and_spoils_no_neighbour(measure):
    draws = autoregressive(0.5, 40, 3, cells=4)
    alone = measure(draws[..., 3:])
    draws[..., 0] = 7
    draws[5, 1, 1] = np.nan
    draws[..., 2] = np.inf
    found = measure(draws)
    assert np.isnan(found[:3]).all()
    np.testing.assert_array_equal(found[3:], alone)
    assert np.isnan(measure(draws[:3])).all()
    assert measure(draws[:0]).shape == (4,)
    assert measure(draws[..., None][..., :0]).shape == (4, 0)
    assert measure(draws[..., 3]).shape == ()
    assert np.isfinite(measure(np.asarray(draws[..., 3] > 0)))


def test_ladders_that_stand_still_in_two_places_never_agree():
    still = np.broadcast_to(np.arange(2.0), (50, 2))
    assert split_rhat(still) == np.inf
    assert effective_sample_size(still) < 5


def test_cells_in_blocks_have_the_same_bits(monkeypatch):
    draws = autoregressive(0.5, 50, 3, cells=12).reshape(50, 3, 4, 3)
    whole = effective_sample_size(draws), split_rhat(draws)
    monkeypatch.setattr(convergence, "_BLOCK", 1000)
    for one, other in zip(whole, (effective_sample_size(draws), split_rhat(draws)), strict=True):
        assert one.shape == (4, 3)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("measure", [effective_sample_size, split_rhat])
def test_draws_of_one_axis_are_refused_with_the_remedy(measure):
    expected = r"^draws: expected \[records, ladders, \.\.\.\], got shape \(9,\)\. .*\[:, None\]"
    with pytest.raises(ValueError, match=expected):
        measure(np.zeros(9))
