"""Chains that start in equilibrium, and comparisons at a stated false-alarm rate.

A kernel that keeps a law passes for every number of moves, so there is no burn-in to choose; and
independent chains make the standard error the plain one.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxanneal as ja
from jaxanneal._chain.move import as_move
from jaxanneal._engine import programs
from jaxanneal._methods.ladder.groups import as_integers
from jaxanneal._polish import descent
from jaxanneal.moves import _mixture, _perturbation

# A test gives a false alarm with probability 1e-6. Two-sided, 5 standard errors are passed with
# probability 5.7e-7, which does for one comparison beside one chi-square; 5.5 with 3.8e-8, for 26.
# The standard error of 16 means, one of each group of ladders, is itself known by 15 degrees of
# freedom: Student's t passes 10.25 as often as a normal number passes 5.5.
FEW, MANY, MANY_OF_GROUPS = 5.0, 5.5, 10.25
CHI_SQUARE = 4e-7

Twin = tuple[tuple[str, Any], ...]  # names in the library and what stands there instead
Rule = Callable[[Any, Any, Any], Any]  # log acceptance probability from (dE, T, Hastings term)


def enable_x64(enabled: bool) -> Any:
    """Return the context of double precision, by the name that this JAX has for it."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(enabled)
    from jax.experimental import enable_x64  # before JAX 0.8

    return enable_x64(enabled)


def assert_mean(what: str, values: Any, exact: float, limit: float = FEW) -> None:
    """Compare the mean of independent values with the exact one."""
    values = np.asarray(values, np.float64).reshape(-1)
    error = values.std(ddof=1) / np.sqrt(values.size)
    off = abs(values.mean() - exact)
    text = f"{what}: {values.mean():.6g}, exact {exact:.6g}, standard error {error:.2g}"
    assert off <= limit * error, text


def assert_counts(what: str, states: Any, probabilities: Any, level: float = CHI_SQUARE) -> None:
    """Compare the numbers of independent draws in each state with their law by chi-square."""
    probabilities = np.asarray(probabilities, np.float64)
    states = np.asarray(states).reshape(-1)
    expected = probabilities / probabilities.sum() * states.size
    counts = np.bincount(states, minlength=expected.size)
    rare = expected < 10  # too few for chi-square: one cell together
    pooled = [(counts[rare].sum(), expected[rare].sum())] if rare.any() else []
    pairs = [*pooled, *zip(counts[~rare], expected[~rare], strict=True)]
    square = sum((count - mean) ** 2 / mean for count, mean in pairs)
    chance = stats.chi2.sf(square, len(pairs) - 1)
    assert chance >= level, f"{what}: chi-square {square:.1f}, {counts} for {expected.round(1)}"


def by_replica(ladders: Any) -> jax.Array:
    """Return the temperature of each replica, float ``[ladders * rungs]``."""
    return ladders.ladder.temperatures[ladders.rung].reshape(-1)


def swap_rates(ladders: Any) -> np.ndarray:
    """Return accepted over tried swaps of each group of ladders, float ``[groups, rungs - 1]``."""
    return as_integers(ladders.accepted) / as_integers(ladders.attempts)


def normal(seed: int, *shape: int) -> np.ndarray:
    """Return standard normal numbers; not from JAX, which would compile once per shape."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


class Evolved(NamedTuple):
    """What became of independent chains.

    Args:
        chains: All chains after the last move, ``[chains, ...]``.
        acceptance: Accepted proposals over all, float ``[chains]``.
        balance: Mean of 2 [dE < 0] + [dE = 0] over all proposals, float ``[chains]``.
        delta_energy: Energy change of the last proposal, float ``[chains]``.
    """

    chains: Any
    acceptance: jax.Array
    balance: jax.Array
    delta_energy: jax.Array


def evolve(
    seed: int,
    starts: Any,
    temperature: Any,
    *,
    energy: Callable[..., Any],
    move: Any,
    moves: int = 1,
    step: Callable[..., Any] = ja.annealing_step,
    twin: Twin = (),
    rules: tuple[Rule, ...] = (),
    rule: int = 0,
) -> Evolved:
    """Make Metropolis moves of many chains.

    Args:
        seed: Seed of all draws.
        starts: Parameters, ``[chains, ...]``.
        temperature: One for all chains.
        energy: The energy.
        move: The move.
        moves: Metropolis moves per chain.
        step: What stands for the annealing step.
        twin: Parts of the library that are replaced.
        rules: Broken rules of acceptance, compiled together; without any the library's.
        rule: Which of them decides.
    """
    numbers = jnp.asarray(temperature, float), jnp.asarray(rule)
    static = {"energy": energy, "moves": moves, "step": step, "twin": twin, "rules": rules}
    starts = jax.tree.map(jnp.asarray, starts)
    return _evolve(jax.random.key(seed), starts, *numbers, as_move(move), **static)


@functools.partial(jax.jit, static_argnames=("energy", "moves", "step", "twin", "rules"))
def _evolve(key, starts, temperature, rule, move, *, energy, moves, step, twin, rules):
    if rules:
        twin = (("jaxanneal._chain.chain.accept", accept_by(rules, rule)), *twin)
    with broken(twin):
        chains = jax.vmap(lambda start: ja.init_chain(start, energy=energy))(starts)
        count = chains.energy.shape[0]

        def one_move(carry, index):
            chains, accepted, balance, _ = carry
            keys = jax.random.split(jax.random.fold_in(key, index), count)
            chains, info = jax.vmap(
                lambda k, chain: step(k, chain, temperature, energy=energy, move=move)
            )(keys, chains)
            fall, tie = (info.delta_energy < 0).astype(int), (info.delta_energy == 0).astype(int)
            accepted = accepted + info.accepted.astype(int)
            return (chains, accepted, balance + 2 * fall + tie, info.delta_energy), None

        none = jnp.zeros(count, int)
        first = (chains, none, none, jnp.zeros_like(chains.energy))
        last, _ = jax.lax.scan(one_move, first, jnp.arange(moves))
        chains, accepted, balance, delta = last
        return Evolved(chains, accepted / moves, balance / moves, delta)


def accept_by(rules: tuple[Rule, ...], rule: Any) -> Callable[..., Any]:
    """Return a broken twin of ``accept`` that decides by the chosen rule."""

    def accept(key, delta_energy, temperature, log_hastings=0.0):
        hastings = jnp.asarray(log_hastings, delta_energy.dtype)
        logs = jnp.stack([one(delta_energy, temperature, hastings) for one in rules])
        return jnp.log1p(-jax.random.uniform(key, dtype=delta_energy.dtype)) <= logs[rule]

    return accept


def swap_twin(ratio: Callable[[Any, Any, Any, Any], Any]) -> Callable[..., Any]:
    """Return a twin of the swap's log-probability from T and E of the two rungs."""

    def log_acceptance(temperatures, energies):
        cold, hot = energies[..., :1], energies[..., 1:]
        return jnp.minimum(ratio(temperatures[0], temperatures[1], cold, hot), 0)

    return log_acceptance


SWAP_TWINS = {  # numbered as in oracle (f)
    "20: sign": swap_twin(lambda cold, hot, a, b: (1 / cold - 1 / hot) * (b - a)),
    "21: temperatures": swap_twin(lambda cold, hot, a, b: (hot - cold) * (a - b)),
    "22: one beta": swap_twin(lambda cold, hot, a, b: (a - b) / cold),
    "23: always": swap_twin(lambda cold, hot, a, b: 0 * a),
    "24: only downhill": swap_twin(lambda cold, hot, a, b: jnp.where(b < a, 0, -jnp.inf)),
}


@contextmanager
def programs_of_their_own() -> Iterator[None]:
    """Keep what is compiled in this context apart, whose library computes something else."""
    modules = (programs, descent)
    kept = [x for module in modules for x in vars(module).values() if hasattr(x, "cache_clear")]
    forget = lambda: [function.cache_clear() for function in kept]  # noqa: E731
    forget()
    _mixture._branch.cache_clear()  # JAX keeps the traces of branches by their functions
    try:
        yield
    finally:
        forget()
        _mixture._branch.cache_clear()


@contextmanager
def broken(twin: Twin) -> Iterator[None]:
    """Replace parts of the library while it is traced."""
    with pytest.MonkeyPatch.context() as patch, programs_of_their_own():
        for name in ("_every", "_some", "_one", "_exactly") if twin else ():
            # JAX keeps the traces of branches, those with another twin or with none.
            branch = getattr(_perturbation, name)
            patch.setattr(_perturbation, name, lambda *inputs, branch=branch: branch(*inputs))
        for name, value in twin:
            patch.setattr(name, value)
        yield


def caught(law: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Assert that a law rejects what it is given."""
    with pytest.raises(AssertionError):
        law(*args, **kwargs)
