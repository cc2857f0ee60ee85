"""The figure of ladder health: what each panel counts, and that every run can be drawn."""

import dataclasses
import functools
import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._diagnostics import check_ladder
from jaxanneal._plots import index_process, overlap
from jaxanneal.moves import Gaussian

PANELS = [
    "Energy at each rung (moving average)",
    "Temperature of each rung",
    "Index process",
    "Swap",
    "Energies of neighbouring rungs",
    "Barrier",
    "Mean energy and heat capacity",
    "Exploration",
]


def terraces(x):
    return jnp.where(x[0] > 6, jnp.inf, jnp.sum(jnp.round(4 * x) ** 2))


def run(temperatures=(1, 4, 16), ladders=2, warmup=20, start=(5, -7), **settings):
    settings = {"steps": 100, "record_every": 5} | settings
    method = ja.ParallelTempering(None, ladders, temperatures, 5, warmup=warmup)
    starts = ja.stacked(np.resize(np.float32(start), (method.chains, 2)))
    return ja.anneal(terraces, starts, key=0, method=method, move=Gaussian(0.5), **settings)


plain = functools.cache(run)


def drawn(result):
    """Draw it, small; a warning of matplotlib's is an error here."""
    figure = result.plot()
    figure.set_dpi(50)
    figure.canvas.draw()
    return figure


def whole_figure_law(figure):
    """Every panel is there, within finite limits; no words are cut off, nor cover other words."""
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert len(panels) == len(PANELS)
    for axes, title in zip(panels, PANELS, strict=True):
        assert axes.get_title().startswith(title)
        assert np.all(np.isfinite([*axes.get_xlim(), *axes.get_ylim()]))
        assert "nan" not in axes.get_title() and "inf" not in axes.get_title()
    words = [axes.title for axes in panels] + [axes.xaxis.label for axes in panels]
    words += [axes.get_legend() for axes in panels if axes.get_legend()]
    boxes = [word.get_window_extent() for word in [*words, figure._suptitle]]
    page = figure.bbox
    for box in boxes:
        assert page.x0 <= box.x0 and box.x1 <= page.x1, box
        assert page.y0 <= box.y0 and box.y1 <= page.y1, box
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other), (one, other)


def said(figure):
    return figure._suptitle.get_text()


def test_the_figure_of_a_ladder_is_whole_and_a_broken_one_is_caught():
    figure = drawn(plain())
    whole_figure_law(figure)
    assert np.all(figure.axes[2].get_yticks() % 1 == 0)  # there is no rung 0.5
    assert said(figure).startswith("2 ladders of 3 rungs, 100 moves, the first 20 of them")
    figure.axes[0].set_title(f"{PANELS[0]}: {'too long ' * 12}")
    figure.canvas.draw()
    with pytest.raises(AssertionError):
        whole_figure_law(figure)


@pytest.mark.slow
def test_a_run_of_many_rungs_is_drawn_with_its_worst_pair():
    ladder = np.concatenate([np.geomspace(1, 2, 40), np.geomspace(40, 80, 24)])
    figure = drawn(run(ladder, 1, 0))
    whole_figure_law(figure)
    rows = [text.get_text() for text in figure.axes[4].get_yticklabels()]
    assert len(rows) <= 15 and "2" in rows


CASES = {
    "stopped in the warm-up": ({"warmup": 1000}, "still warming up", "Swap rates"),
    "one record, no swap": ({"steps": 3, "warmup": 0}, "Too short to trust", "none were"),
    "no moves": ({"target": 1e9}, "0 moves", "none were"),
    # In 4000 steps of about 0.5 no replica comes down from a thousand away.
    "broken": (
        {"start": [[0, 0], [0, 0], [-1000, -1000]] * 2, "steps": 4000, "warmup": 0},
        "Not to be trusted",
        "0.00",
    ),
    "infinite": ({"start": [[9, 9]] + [[1, 1]] * 5, "warmup": 0}, "", "Swap rates"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_figure_says_what_a_run_lacks(case):
    settings, verdict, swaps = CASES[case]
    figure = drawn(run(**settings))
    whole_figure_law(figure)
    assert verdict in said(figure)
    assert swaps in figure.axes[3].get_title()


def allowed_trips_law(allowed):
    """The closed forms of both schemes; that the first is met is seen in ``test_result``."""
    assert allowed(np.ones(1), "deo") == 1 / 2
    assert allowed(np.full(3, 0.5), "deo") == 1 / 8
    assert allowed(np.full(3, 0.5), "seo") == 1 / 12
    assert allowed(np.array([0.5, 0.0]), "deo") == 0


def test_the_trips_allowed_are_those_of_the_theory_and_a_twin_without_odds_is_caught():
    allowed_trips_law(check_ladder.allowed_rate)
    with pytest.raises(AssertionError):
        allowed_trips_law(lambda rate, scheme: 1 / (2 + 2 * np.sum(1 - rate)))


def shares_law(histograms, energies, width=0.0):
    """Every finite energy is in one bin, and none that is infinite."""
    shares, borders = histograms(energies, width)
    assert np.all(np.diff(borders) > 0)
    np.testing.assert_allclose(shares.sum(axis=1), np.isfinite(energies).mean(axis=0), rtol=1e-12)
    return shares


def test_histograms_hold_every_finite_energy_and_a_twin_that_cuts_the_rare_ones_is_caught():
    random = np.random.default_rng(0)
    smooth = random.gamma(2.0, np.geomspace(1e-3, 1e3, 5), (500, 5))
    smooth[:7, 2] = np.inf
    width = overlap.nonlinear(smooth)
    assert 0 < width < 1e-2
    shares_law(overlap.histograms, smooth, width)
    assert np.count_nonzero(shares_law(overlap.histograms, smooth)[0]) == 1  # a linear scale
    assert np.count_nonzero(shares_law(overlap.histograms, smooth, width)[0]) > 5
    for _ in range(20):  # the outer borders are rounded, another way each time
        drawn = random.gamma(2.0, np.geomspace(1e-3, 1e3, 5), (500, 5))
        shares_law(overlap.histograms, drawn, overlap.nonlinear(drawn))
    shares_law(overlap.histograms, np.full((3, 2), -7.0))
    levels = random.integers(0, 5, (200, 3)) * 4.0
    assert overlap.nonlinear(levels) == 0
    assert shares_law(overlap.histograms, levels).shape == (3, 5)

    def twin(energies, width):
        shares, borders = overlap.histograms(energies, width)
        return shares[:, :-9], borders[:-9]

    with pytest.raises(AssertionError, match="Not equal"):
        shares_law(twin, smooth, width)


def test_journeys_are_counted_from_end_to_end_and_edges_lie_between_records():
    there_and_back = np.array([0, 1, 2, 1, 2, 1, 0])
    still = np.ones(7, int)
    assert index_process.journeys(np.stack([there_and_back, still], axis=1)[:, [0, 1, 1]]) == 2
    np.testing.assert_array_equal(index_process.edges(np.array([10, 20, 25])), [5, 15, 22.5, 27.5])
    np.testing.assert_array_equal(index_process.edges(np.array([10])), [9.5, 10.5])
    assert overlap.chosen_pairs(np.full(3, np.nan)) == [0, 1, 2]
    assert 33 in overlap.chosen_pairs(np.where(np.arange(63) == 33, 0.1, 0.9))


def test_a_line_follows_a_replica_only_where_records_do():
    walk = np.random.default_rng(0).integers(-1, 2, (300, 10)).cumsum(axis=0) % 10
    assert index_process.traceable(walk)
    shuffled = np.random.default_rng(0).permuted(np.tile(np.arange(10), (300, 1)), axis=1)
    assert not index_process.traceable(shuffled)
    assert not index_process.traceable(walk[:1])


@pytest.mark.parametrize(("capacity", "scale"), [([9, 3, 0.01], "log"), ([np.inf, 3, 0], "linear")])
def test_a_heat_capacity_over_decades_is_drawn_over_decades_unless_it_is_zero_somewhere(
    capacity, scale
):
    health = plain().diagnostics._replace(heat_capacity=np.array(capacity))
    figure = drawn(dataclasses.replace(plain(), diagnostics=health))
    whole_figure_law(figure)
    (axes,) = [one for one in figure.axes if one.get_ylabel().startswith("heat capacity")]
    low, high = axes.get_ylim()
    known = [value for value in capacity if np.isfinite(value)]
    assert low <= min(known) and max(known) <= high
    assert axes.get_yscale() == scale
