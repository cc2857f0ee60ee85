"""The suites `sampling` and `exchanges`: their exact values, formulas, counts and tables."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import FEW, MANY, assert_mean, caught

from benchmarks import __main__ as command
from benchmarks.effective import autocorrelation, effective_samples, standard_error, theory
from benchmarks.exchanges import searches
from benchmarks.exchanges import suite as exchanges
from benchmarks.sampling import suite as sampling
from benchmarks.sampling.peers import travelled
from benchmarks.targets import (
    double_well,
    harmonic,
    ising_energy,
    ising_log_partition,
    mixture,
    targets,
)

CRITICAL = 2.2691853142
# Temperature, energy per site, ln Z of the 4 x 4 torus: enumeration, oracle (d).
ISING = [
    (1.5, -1.95064256, 22.11701391),
    (2.0, -1.75538029, 17.10536712),
    (CRITICAL, -1.56562379, 15.52191546),
    (3.0, -1.01706963, 13.28103346),
]


def partition_law(log_partition):
    for temperature, _, exact in ISING:
        assert log_partition(4, 1 / temperature) == pytest.approx(exact, abs=2e-8)


def test_the_torus_has_the_partition_function_and_the_energy_of_the_enumeration():
    partition_law(ising_log_partition)
    caught(partition_law, lambda side, coupling: ising_log_partition(60, coupling) * side**2 / 3600)
    for temperature, energy, _ in ISING:
        assert ising_energy(4, temperature) == pytest.approx(16 * energy, abs=2e-6)


def test_the_double_well_has_the_values_of_the_oracle():
    assert double_well(1).exact == pytest.approx((-0.3569431, 0.01890196), abs=1e-7)


def mixture_law(target, d):
    """Draw from both laws: the coldest temperature is 1."""
    random = np.random.default_rng(1)
    side = np.where(random.random(40_000) < 0.7, 4, -4) / np.sqrt(d)
    draws = jnp.asarray(side[:, None] + random.standard_normal((40_000, d)), jnp.float32)
    assert_mean("energy", jax.vmap(target.energy)(draws), target.exact[0], MANY)
    assert_mean("mode", jax.vmap(target.observe)(draws), target.exact[1], MANY)


@pytest.mark.parametrize("d", [2, 50])
def test_the_mixture_has_the_energy_and_the_weights_of_its_draws(d):
    target = mixture(d, 6, 10, 1)
    energy, heavy = target.exact
    mixture_law(target, d)
    caught(mixture_law, target._replace(exact=(energy + 0.5, heavy)), d)
    caught(mixture_law, target._replace(exact=(energy, 1 - heavy)), d)


def test_every_ladder_of_the_suite_begins_where_the_exact_values_hold():
    for target in (*targets(True), *targets(False)):
        kelvin = {"double well": 0.25, "Ising 4 x 4": 1.5}
        cold = kelvin.get(target.name, 2.0 if target.discrete else 1.0)
        assert target.temperatures[0] == pytest.approx(cold)
        assert target.ladders % 2 == 0  # emcee wants an even number of walkers


@functools.cache
def remembering(rho, draws=1000, chains=16, runs=200):
    """Return stationary sequences with autocorrelations rho^t, ``[runs, draws, chains]``."""
    random = np.random.default_rng(2)
    x = random.standard_normal((draws, runs, chains))
    for step in range(1, draws):
        x[step] = rho * x[step - 1] + np.sqrt(1 - rho**2) * x[step]
    return x.transpose(1, 0, 2)


def time_law(effective, rho):
    """Within 5 %: the mean of 200 runs has a standard error below 1 %; the cut costs a few."""
    runs = remembering(rho)
    time = np.mean([runs[0].size / effective(x) for x in runs])
    assert time == pytest.approx((1 + rho) / (1 - rho), rel=0.05)


def lag_one(x):
    """A broken twin that sums one autocorrelation only."""
    return x.size / (1 + 2 * np.mean(x[1:] * x[:-1]) / np.var(x))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_effective_samples_are_those_of_a_sequence_with_known_memory(rho):
    time_law(effective_samples, rho)
    if rho > 0:
        caught(time_law, lag_one, rho)


def disagreement_law(effective):
    """Eight chains that each know another mean are worth about eight draws."""
    draws = remembering(0.5)[0, :, :8] + 20.0 * np.arange(8)
    assert effective(draws) < 16


def test_chains_that_disagree_count_for_little():
    disagreement_law(effective_samples)
    alone = lambda x: sum(effective_samples(x[:, i : i + 1]) for i in range(8))  # noqa: E731
    caught(disagreement_law, alone)
    assert effective_samples(np.ones((100, 4))) == 0
    assert standard_error(np.ones((100, 4))) == np.inf


def error_law(error):
    """Means in standard errors have a mean square of 1; its own error over 200 runs is 0.1."""
    runs = remembering(0.9)
    squares = [(x.mean() / error(x)) ** 2 for x in runs]
    assert abs(np.mean(squares) - 1) < FEW * np.sqrt(2 / len(runs))


def test_standard_errors_say_how_far_means_are_off():
    error_law(standard_error)
    caught(error_law, lambda x: x.std() / np.sqrt(x.size))


# Rejection rates, round trips per phase with DEO and SEO: oracle (b).
ROUND_TRIPS = [
    (10 * (0.3,), 0.09459459, 0.03500000),
    (4 * (0.5,), 0.1000000, 0.06250000),
    ((0.4,), 0.3000000, 0.3000000),
    ((0.1, 0.2, 0.3, 0.4, 0.5), 0.1446613, 0.06705695),
]


@pytest.mark.parametrize(("rejected", "deo", "seo"), ROUND_TRIPS)
def test_the_theory_of_round_trips_is_that_of_the_oracle(rejected, deo, seo):
    rates = 1 - np.array(rejected)
    assert theory(rates) == pytest.approx(deo, abs=1e-7)
    assert theory(rates, "seo") == pytest.approx(seo, abs=1e-7)
    assert theory(np.array([0.5, 0.0])) == 0


@functools.cache
def recorded(rungs, first, rho=0.8, phases=4000, ladders=8):
    """Return energies after exchanges that even and odd pairs accept half the time."""
    random = np.random.default_rng(3)
    energies = random.standard_normal((ladders, rungs))
    records = []
    for phase in range(first, first + phases):
        energies = rho * energies + np.sqrt(1 - rho**2) * random.standard_normal(energies.shape)
        for pair in range(phase % 2, rungs - 1, 2):
            swapped, both = random.random(ladders) < 0.5, slice(pair, pair + 2)
            energies[swapped, both] = energies[swapped, both][:, ::-1]
        records.append(energies.copy())
    return np.stack(records)


def memory_law(rungs, first, said):
    """Standard error of a correlation over 16,000 pairs: 0.003; of a larger one of two, less."""
    assert autocorrelation(recorded(rungs, first), said) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("rungs", [4, 5])
@pytest.mark.parametrize("first", [0, 7])
def test_the_ends_of_a_ladder_tell_what_replicas_remember(rungs, first):
    memory_law(rungs, first, first)
    if rungs == 4:  # the other phases of an odd ladder are idle at its other end
        caught(memory_law, rungs, first, first + 1)


def journeys_law(follow):
    """Carry labels along by hand."""
    follow = jax.jit(follow)
    random = np.random.default_rng(4)
    rungs, ladders = 5, 40
    journey, counted = jnp.zeros((rungs, ladders), jnp.int32).at[0].set(1), 0
    place, far, trips = np.tile(np.arange(rungs), (ladders, 1)), np.zeros((ladders, rungs)), 0
    far[:, 0] = 1
    for phase in range(200):
        accepted = random.random((rungs - 1, ladders)) < 0.7
        accepted[1 - phase % 2 :: 2] = False
        journey, ended = follow(journey, jnp.asarray(accepted))
        counted += int(ended)
        for ladder in range(ladders):
            for pair in np.flatnonzero(accepted[:, ladder]):
                here = place[ladder, [pair, pair + 1]]
                place[ladder, [pair, pair + 1]] = here[::-1]
            bottom, top = place[ladder, 0], place[ladder, -1]
            trips += far[ladder, bottom] == 2
            far[ladder, bottom] = 1
            far[ladder, top] = 2 if far[ladder, top] == 1 else far[ladder, top]
    assert trips > 100
    assert counted == trips


def test_round_trips_of_peers_are_those_counted_by_hand():
    journeys_law(travelled)
    caught(journeys_law, lambda journey, accepted: travelled(journey, jnp.zeros_like(accepted)))


@pytest.mark.slow
def test_a_run_of_the_suite_gives_rows_lines_and_a_table():
    target = harmonic(2, 10.0, 4, 10, 100)
    rows = list(sampling.compare(target, 2, peers=False))
    assert [row["solver"] for row in rows] == ["jaxanneal"]
    row = rows[0]
    # 100 exchanges of 10 moves of 64 replicas, twice.
    assert row["evaluations"] == 2 * 100 * 10 * 64
    assert row["effective_per_second"] > 0
    assert row["round_trips_per_second"] > 0
    assert 0 < row["of_theory"] < 2
    for name, off in row["bias"].items():
        assert abs(off) < MANY * row["standard_error"][name]
    assert "of theory" in sampling.line(row)
    assert sum(line.startswith("| harmonic d=2 |") for line in sampling.table(rows)) == 2


@pytest.mark.slow
def test_a_run_of_the_exchanges_gives_rows_lines_and_tables(monkeypatch):
    rows = list(exchanges.frequencies(double_well(0), 400, (10,), 2))
    rows += exchanges.shapes(64, 1)
    near = searches.searches()[0]._replace(target=400.0)  # any start is lower
    monkeypatch.setattr(searches, "searches", lambda: [near, near._replace(target=-1.0)])
    reached, lost = searches.study((10,), 1, 100)
    assert reached["reached"] == 1 and reached["moves_to_target"] == 0
    assert lost["reached"] == 0 and lost["moves_to_target"] is None
    rows += [reached, lost]
    assert [row["solver"] for row in rows[:2]] == ["deo, swap_every=10", "seo, swap_every=10"]
    assert [row["solver"] for row in rows[2:5]] == ["1 x 64 rungs", "8 x 8 rungs", "SA"]
    assert all(exchanges.line(row) for row in rows)
    assert sum(line.startswith("| 64 replicas |") for line in exchanges.table(rows)) == 1


def test_peers_are_refused_where_there_are_none(capsys):
    with pytest.raises(SystemExit):
        command.main(["run", "exchanges", "--peers"])
    assert "--peers: expected with global, sampling" in capsys.readouterr().err
