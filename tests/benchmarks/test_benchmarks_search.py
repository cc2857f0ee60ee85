"""The suites `global` and `tuning`: optima are what problems say, and costs are counted right."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught, enable_x64
from scipy import optimize

from benchmarks import __main__ as command
from benchmarks.problems import energies, standard
from benchmarks.problems.twin import twin
from benchmarks.search import figure, objective, ours, peers, populations, suite, tables
from benchmarks.search.solver import Attempt, Ready, Solver
from benchmarks.success import expected, interval, rate
from benchmarks.tuning import suite as tuning

# The quick runs of both suites, which `.ci/run` makes, stand for these by default.
pytestmark = pytest.mark.slow

PROBLEMS = {problem.name: problem for problem in standard.problems()}
KNOWN = [problem for problem in PROBLEMS.values() if problem.place is not None]
GOLDEN = (1 + 5**0.5) / 2


def optimum_law(problem):
    """The place has the optimum; places at random are not below, nor steps towards them."""
    assert abs(problem.gap(problem.place)) < 1e-9
    random = np.random.default_rng(7)
    for _ in range(200):
        far = at_random(problem, random)
        share = 10.0 ** random.uniform(-6, 0)
        near = jax.tree.map(
            lambda x, y, share=share: x + share * (y - x) if x.dtype.kind == "f" else x,
            problem.place,
            far,
        )
        assert problem.gap(far) >= 0 and problem.gap(near) >= -1e-9


def at_random(problem, random):
    """Return a place in the box, by NumPy, which compiles nothing."""
    if problem.floating:
        return random.uniform(*(problem.bounds or (-1.0, 1.0)), problem.dimension)
    integers, bools = random.integers(-5, 6, 3), random.random(2) < 0.5
    return {"x": random.uniform(-5.12, 5.12, 5), "k": integers, "on": bools}


@pytest.mark.parametrize("problem", KNOWN, ids=lambda problem: problem.name)
def test_the_optimum_is_where_the_problem_says(problem):
    optimum_law(problem)
    caught(optimum_law, problem._replace(optimum=problem.unit))


def test_a_place_beside_the_optimum_is_caught():
    problem = PROBLEMS["Rastrigin d=2"]
    caught(optimum_law, problem._replace(place=problem.place + 0.01))


def test_problems_have_the_dimension_that_their_names_say():
    for problem in PROBLEMS.values():
        size = problem.name.rpartition(" ")[2].removeprefix("d=")
        assert problem.dimension == int(size) * (3 if "Lennard" in problem.name else 1)


def test_a_start_is_in_the_bounds():
    problem = PROBLEMS["Rosenbrock d=2"]
    starts = jax.vmap(problem.start)(jax.random.split(jax.random.key(0), 200))
    low, high = problem.bounds
    assert low <= jnp.min(starts) <= low + 0.1 * (high - low)
    assert high >= jnp.max(starts) >= high - 0.1 * (high - low)


@pytest.mark.parametrize("name", ["Gallagher d=10", "Lennard-Jones 7", "mixed leaves d=10"])
def test_jax_and_numpy_compute_the_same_energy(name):
    """Single precision has 6e-8 an operation: 1e-5 for sums of some hundred terms."""
    problem = PROBLEMS[name]
    for seed in range(5):
        params = problem.start(jax.random.key(seed))
        by_jax = float(problem.energy(params, *problem.args))
        np.testing.assert_allclose(by_jax, problem.gap(params) + problem.optimum, 1e-5)


def cluster(n, energy=energies.lennard_jones):
    """Return the energy of n atoms with NumPy."""
    pairs = np.triu(np.ones((n, n)), 1)
    return lambda x: float(twin(energy)(np.asarray(x, np.float64).reshape(-1), pairs))


def small_clusters_law(energy):
    """2, 3 and 4 atoms at the distance of the well have as many pairs of energy -1."""
    pair = 2 ** (1 / 6)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / math.sqrt(8)
    for n, pairs in ((2, 1), (3, 3), (4, 6)):
        assert abs(cluster(n, energy)(pair * corners[:n]) + pairs) < 1e-12
    assert abs(cluster(2, energy)([[0, 0, 0], [1, 0, 0]])) < 1e-12  # where it changes its sign


def test_small_clusters_have_the_energies_of_their_pairs():
    small_clusters_law(energies.lennard_jones)
    caught(small_clusters_law, lambda x, pairs: twin(energies.lennard_jones)(x, pairs + pairs.T))


def test_the_slope_of_a_cluster_is_that_of_its_energy():
    problem = PROBLEMS["Lennard-Jones 7"]
    x = objective.start(problem, 0)
    value, slope = twin(energies.lennard_jones_slope)(x, *problem.exact)
    with enable_x64(True):
        args = tuple(jnp.asarray(y) for y in problem.exact)
        by_jax = jax.value_and_grad(energies.lennard_jones)(jnp.asarray(x), *args)
    np.testing.assert_allclose(value, by_jax[0], 1e-12)
    np.testing.assert_allclose(slope, by_jax[1], 1e-9)


def bipyramid():
    """Return five atoms in a ring, one above and one below."""
    angles = 2 * np.pi * np.arange(5) / 5
    ring = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    return np.concatenate([ring, [[0, 0, 0.6], [0, 0, -0.6]]])


def icosahedron():
    """Return an atom and the twelve around it."""
    signs = [(i, j) for i in (-1, 1) for j in (-GOLDEN, GOLDEN)]
    corners = [np.roll([0, i, j], turn) for turn in range(3) for i, j in signs]
    return np.concatenate([np.zeros((1, 3)), np.array(corners) / math.hypot(1, GOLDEN)])


def octahedron():
    """Return the octahedron cut from the cubic lattice, its six corners missing."""
    grid = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    corners = grid[(grid.sum(axis=1) % 2 == 1) & (np.abs(grid).sum(axis=1) <= 3)]
    return corners[np.abs(corners).max(axis=1) < 3] / math.sqrt(2)


@pytest.mark.parametrize("atoms", [bipyramid(), icosahedron(), octahedron()], ids=len)
def test_the_least_energies_of_clusters_are_those_of_the_known_structures(atoms):
    """Wales and Doye give six decimals."""
    n = len(atoms)
    result = optimize.minimize(
        twin(energies.lennard_jones_slope),
        1.1 * atoms.reshape(-1),
        args=(np.triu(np.ones((n, n)), 1),),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-8},
    )
    assert abs(result.fun - standard.LEAST[n]) < 1e-6


@pytest.mark.slow
def test_hopping_with_26_atoms_ends_at_the_least_energy_known():
    problem = PROBLEMS["Lennard-Jones 26"]._replace(seconds=60.0)
    functions = cluster(26), lambda x: twin(energies.lennard_jones_slope)(x, *problem.exact)
    (attempt,) = peers._attempts(problem, peers._basinhopping, functions, 1)
    assert attempt.solved and attempt.gap > -1e-6


def expected_cost_law(cost):
    """Runs of cost 1 that succeed with probability 1/4 cost 4 until one does.

    Of 40,000 runs the successes have a standard deviation of 87 about 10,000, 0.9 %: 5 % are more
    than five of them.
    """
    solved = np.random.default_rng(3).random(40_000) < 0.25
    assert abs(cost([1.0] * solved.size, solved.tolist()) / 4 - 1) < 0.05
    assert cost([3.0, 5.0], [False, True]) == 8.0
    assert cost([3.0], [False]) == math.inf


def test_failed_runs_cost_what_they_took():
    expected_cost_law(expected)
    caught(expected_cost_law, lambda costs, solved: float(np.mean(np.asarray(costs)[solved])))


def coverage_law(limits):
    """20 runs that succeed with probability 0.6 cost 1/0.6: 200 such studies.

    Drawing again covers a little less often than 95 %; 88 % of 200 has a standard deviation of
    2.3 %, and 76 % is five away.
    """
    random, inside = np.random.default_rng(4), 0
    for _ in range(200):
        solved = (random.random(20) < 0.6).tolist()
        low, high = limits([1.0] * 20, solved)
        inside += low <= 1 / 0.6 <= high
    assert inside >= 0.76 * 200


def test_the_interval_of_an_expected_cost_covers_it():
    coverage_law(interval)
    caught(coverage_law, lambda costs, solved: (expected(costs, solved),) * 2)
    assert interval([1.0] * 20, [False] * 19 + [True])[1] == math.inf
    assert rate([True] * 20) == "20 of 20 (84 to 100 %)"


def counted(problem, values):
    """Return an objective that has been called at these places, a gradient at the last."""
    calls = objective.Objective(problem, twin(problem.energy), lambda x: (math.nan, x * math.nan))
    calls._value = lambda x: float(twin(problem.energy)(x, *problem.exact))
    for x in values[:-1]:
        calls(np.asarray(x))
    calls.value_and_gradient(np.asarray(values[-1]))
    return calls


def test_an_objective_counts_calls_and_notes_when_targets_are_reached():
    problem = standard.family("Rastrigin", 2)._replace(tolerances=(30.0, 1e-4))
    far, near = problem.place + 2.0, problem.place + 1.0
    calls = counted(problem, [far + 3.0, far, near, far])
    first, second = calls.attempts()
    assert (first.solved, first.evaluations, second.solved, second.evaluations) == (
        True,
        2,
        False,
        6,
    )
    assert second.seconds >= first.seconds >= 0 and 1.9 < second.gap < 2.1
    with pytest.raises(objective.EnoughError):
        calls(problem.place)
    assert [attempt.evaluations for attempt in calls.attempts()] == [2, 7]


def test_an_objective_hides_infinity_and_ends_when_time_is_up():
    problem = standard.family("Rastrigin", 2)._replace(seconds=0.0)
    calls = counted(problem, [problem.place + 9.0])
    assert calls._with_gradient(problem.place, 3)[0] == objective._HUGE
    with pytest.raises(objective.EnoughError):
        for _ in range(objective._EVERY):
            calls(problem.place + 9.0)
    assert not any(attempt.solved for attempt in calls.attempts())


def test_a_population_notes_the_generation_that_reaches_a_target():
    problem = standard.family("Rastrigin", 2)
    falls = np.full(populations._CHUNK, 5.0)
    falls[30:], falls[70:] = 5e-3, 5e-5
    chunks = iter([np.full(populations._CHUNK, 9.0), falls])
    loop = populations.Loop(
        lambda seed: seed, lambda state, key: (state, next(chunks), np.ones(populations._CHUNK)), 64
    )
    attempts = populations._attempts(problem, loop, 0)
    generations = [populations._CHUNK + 31, populations._CHUNK + 71]
    assert [x.evaluations for x in attempts] == [64 + 64 * n for n in generations]
    assert all(x.solved for x in attempts) and attempts[1].gap == pytest.approx(5e-5)


def test_a_run_of_ours_counts_a_gradient_three_and_stops_at_the_target():
    problem = standard.family("Rastrigin", 2)

    class Result:
        params, energy, evaluations, gradients = problem.place + 1e-3, 5e-3, 100, 40

    targets = []

    def solve(problem, budget, key, target):
        targets.append(target)
        return Result

    loose, fine = ours._attempts(problem, solve, 1000, 0)
    assert targets == [1e-2, 1e-4] and (loose.solved, fine.solved) == (True, False)
    assert loose.evaluations == 180
    targets.clear()
    Result.energy = 1.0  # what misses the first target is not run again
    assert ours._attempts(problem, solve, 1000, 0)[1].solved is False and targets == [1e-2]


def test_an_energy_without_gradients_keeps_its_values():
    problem = standard.family("Ackley", 2)
    x = problem.start(jax.random.key(0))
    flat = ours._flat(problem.energy)
    assert flat is ours._flat(problem.energy)  # one program
    assert flat(x, *problem.args) == problem.energy(x, *problem.args)
    assert not jax.grad(flat)(x, *problem.args).any()


def fake_solver(name, solved, package="jaxanneal", programs=None, calls=None):
    """Return a solver that solves what ``solved`` says, seed by seed, and takes 10 evaluations."""

    def attempts(seed):
        if calls is not None:
            calls.append((name, seed))
        fine = Attempt(solved(seed), 10 * (seed + 1), 0.5, 1e-5)
        return [fine._replace(evaluations=4), fine]

    ready = Ready(attempts, float(len(name)))
    return Solver(name, lambda problem: ready, lambda _: True, programs or name, package)


def fake_rows():
    those = [
        fake_solver("minimize", lambda seed: True),
        fake_solver("anneal", lambda seed: seed % 2 == 0),
        fake_solver("anneal, 3,000 moves", lambda seed: True, programs="anneal"),
        fake_solver("SciPy basinhopping", lambda seed: False, "scipy"),
    ]
    return list(suite.compare(PROBLEMS["Rastrigin d=10"], those, 8))


def test_solvers_take_turns_and_who_solves_nothing_is_not_run_on():
    calls = []
    those = [fake_solver(name, lambda seed, name=name: name == "a", calls=calls) for name in "ab"]
    rows = list(suite.compare(PROBLEMS["Rastrigin d=2"], those, 7))
    assert calls[:4] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [row["seeds"] for row in rows] == [7, 5] and calls[-2:] == [("a", 5), ("a", 6)]


def test_rows_become_lines_tables_and_a_figure(tmp_path):
    rows = [json.loads(json.dumps(row)) for row in fake_rows()]
    assert [row["compile_seconds"] for row in rows[1:3]] == [19.0, 19.0]  # they share programs
    assert "0.0001: 4 of 8, 90 evaluations, 1 s" in suite.line(rows[1])
    lines = suite.table(rows)
    assert "| Rastrigin d=10 | 45 | 90 (4 of 8) | 45 | none (0 of 5) |" in lines
    assert any(
        x.startswith("| Rastrigin d=10 | anneal | 0.0001 | 4 of 8 (22 to 78 %) | 90 (")
        for x in lines
    )
    readme = suite.readme_table(rows)
    assert "| Rastrigin d=10 | 45 / 0.5 | 90 / 1 (4 of 8) | none |" in readme
    suite.figure(rows, tmp_path / "global.png")
    assert (tmp_path / "global.png").stat().st_size > 10_000
    own = tables.latest(rows)["Rastrigin d=10", "anneal"]
    places, shares = figure.profile({"Rastrigin d=10": own}, "evaluations")
    assert places.tolist() == [1, 3, 5, 7] and shares.tolist() == [1 / 8, 2 / 8, 3 / 8, 4 / 8]


def test_names_are_chosen_by_patterns():
    assert suite._is_named("minimize, no gradients", "anneal; minimize*")
    assert not suite._is_named("minimize, no gradients", "minimize")
    with pytest.raises(SystemExit, match="no solver or no problem"):
        next(suite.run(quick=True, problems="Rastrigon*"))


def test_options_are_refused_where_there_are_none(capsys):
    with pytest.raises(SystemExit):
        command.main(["run", "scale", "--problems", "all"])
    assert "--problems: expected with global, tuning, got with scale." in capsys.readouterr().err


def fake_runs(cost, solved=True):
    return tuning.Runs([solved] * 2, [cost] * 2, [0.0] * 2)


def test_the_best_of_the_grid_is_chosen_on_other_seeds(monkeypatch):
    grid, seen = ((1.0, 1e-2, 0.2), (1.0, 1e-4, 0.2), (1.0, 1e-6, 0.2)), []

    def runs(task, seeds, moves, options):
        seen.append(tuple(seeds))
        cost = 30
        if options:
            end = float(options["method"].cooling.end) / float(options["method"].cooling.start)
            cost = 10 if end == pytest.approx(1e-4) else 20
        return fake_runs(cost)

    monkeypatch.setattr(tuning, "_runs", runs)
    row = tuning.compare(next(tuning._tasks()), 2, 3, None, grid)
    assert row["setting"] == list(grid[1]) and row["ratio"] == 3.0
    assert set(seen[:3]) == {(1000, 1001, 1002)} and seen[3:] == [(0, 1), (0, 1)]
    others = [row | {"problem": f"{ratio}", "ratio": ratio} for ratio in (None, 2.0)]
    lines = tuning.table([row, *others])
    assert "Within 2 times the best on 1 of 3." in lines and "ratio 3.00" in tuning.line(row)


def test_a_default_that_never_solves_has_no_ratio():
    assert tuning._ratio(fake_runs(5, solved=False), fake_runs(5)) is None
    assert tuning._ratio(fake_runs(5), fake_runs(5, solved=False)) == 0.0
    assert tuning._ratio(fake_runs(6), fake_runs(3)) == 2.0


@pytest.mark.slow
def test_quick_runs_end_with_rows_of_each_solver():
    rows = list(suite.run(quick=True))
    names = [solver.name for solver in ours.solvers()]
    assert [row["solver"] for row in rows] == names
    assert all(row["seeds"] == 2 and suite.line(row) for row in rows)
    (row,) = tuning.run(quick=True)
    assert row["problem"] == "Rastrigin d=10" and tuning.line(row)
