"""The peers of the suite `step`: other libraries on the same energies, starts and chains.

Each is compiled as its documentation says, and takes steps of the size that ours takes.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.random_walk import random_walk
from benchmarks.step.methods import RUNGS, Program
from benchmarks.workloads import Workload, ising, network_energy, rastrigin

_SCALE, _TEMPERATURE = 0.01, 1e-3


def peers(workload: Workload, starts: Any) -> Iterator[tuple[str, Program]]:
    """Yield those that can take this workload's parameters."""
    discrete = all(x.dtype == jnp.bool_ for x in jax.tree.leaves(starts))
    if not discrete:
        yield "evosax SA", _evosax(workload, starts)
    yield "blackjax random walk", _blackjax(workload, starts)
    if workload.chains >= RUNGS and not discrete:
        yield "TFP replica exchange", _replica_exchange(workload, starts)
    if jax.default_backend() != "cpu":  # what follows runs on the processor
        return
    yield "NumPy loop, one chain", _numpy_loop(workload, starts)
    if not discrete:
        yield "SciPy dual_annealing", _dual_annealing(workload, starts)


def _looped(step: Callable[[Any, jax.Array], Any], carry: Any) -> Program:
    """Return a program whose step goes from one carry to the next, in one compiled loop."""

    @jax.jit
    def loop(carry: Any, steps: jax.Array) -> Any:
        key = jax.random.key(0)
        body = lambda i, carry: step(carry, jax.random.fold_in(key, i))  # noqa: E731
        return jax.lax.fori_loop(0, steps, body, carry)

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers warn of their own use of JAX
        compiled = loop.lower(carry, jnp.asarray(1)).compile()
    spent = time.perf_counter() - began
    return Program(lambda n: jax.block_until_ready(compiled(carry, jnp.asarray(n))), spent)


def _evosax(workload: Workload, starts: Any) -> Program:
    """Simulated annealing as evosax has it: a population about one mean."""
    import optax
    from evosax.algorithms import SimulatedAnnealing

    one = jax.tree.map(lambda x: x[0], starts)
    schedule = optax.constant_schedule(_SCALE)
    algorithm = SimulatedAnnealing(workload.chains, one, std_schedule=schedule)
    numbers = algorithm.default_params

    def step(state: Any, key: jax.Array) -> Any:
        ask, tell = jax.random.split(key)
        population, state = algorithm.ask(ask, state, numbers)
        fitness = jax.vmap(lambda p: workload.energy(p, *workload.args))(population)
        return algorithm.tell(tell, population, fitness, state, numbers)[0]

    state = algorithm.init(jax.random.key(1), one, numbers)
    return _looped(step, state)


def _blackjax(workload: Workload, starts: Any) -> Program:
    """Return the random walk, or the flip of one site, vmapped over chains."""

    def log_density(params: Any) -> jax.Array:
        return -workload.energy(params, *workload.args) / _TEMPERATURE

    return _looped(*random_walk(log_density, starts, _SCALE))


def _replica_exchange(workload: Workload, starts: Any) -> Program:
    """Return TFP's kernel with 16 rungs, which tries an exchange after every move."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TFP asks for integers of 64 bits
        from tensorflow_probability.substrates import jax as tfp

        leaves, treedef = jax.tree.flatten(starts)
        events = [x.shape[1:] for x in leaves]

        def log_density(*parts: jax.Array) -> jax.Array:
            batch = parts[0].shape[: parts[0].ndim - len(events[0])]
            pairs = zip(parts, events, strict=True)
            flat = treedef.unflatten([x.reshape((-1, *event)) for x, event in pairs])
            return -jax.vmap(lambda p: workload.energy(p, *workload.args))(flat).reshape(batch)

        kernel = tfp.mcmc.ReplicaExchangeMC(
            target_log_prob_fn=log_density,
            inverse_temperatures=1 / jnp.geomspace(1e-4, 1e-2, RUNGS),
            make_kernel_fn=lambda f: tfp.mcmc.RandomWalkMetropolis(
                f, new_state_fn=tfp.mcmc.random_walk_normal_fn(scale=_SCALE)
            ),
        )
        state = [x[: workload.chains // RUNGS] for x in leaves]

        def step(carry: Any, key: jax.Array) -> Any:
            return kernel.one_step(*carry, seed=jax.random.key_data(key))

        return _looped(step, (state, kernel.bootstrap_results(state)))


def _network_numpy(params: Any, x: np.ndarray, y: np.ndarray) -> float:
    hidden = np.tanh(x @ params["w1"] + params["b1"])
    logits = hidden @ params["w2"] + params["b2"]
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -float(np.mean(log_p[np.arange(len(y)), y]))


def _rastrigin_numpy(x: np.ndarray) -> float:
    return float(10.0 * x.size + np.sum(x**2 - 10.0 * np.cos(2 * np.pi * x)))


def _ising_numpy(spins: np.ndarray) -> float:
    s = np.where(spins, 1.0, -1.0)
    return float(-np.sum(s * np.roll(s, 1, 0)) - np.sum(s * np.roll(s, 1, 1)))


# The same energies for the loop that everybody writes first.
_NUMPY = {network_energy: _network_numpy, rastrigin: _rastrigin_numpy, ising: _ising_numpy}


def _numpy_loop(workload: Workload, starts: Any) -> Program:
    """Return the loop of one chain that everybody writes first."""
    random = np.random.default_rng(0)
    args = tuple(np.asarray(x) for x in workload.args)
    first = [np.asarray(x[0]) for x in jax.tree.leaves(starts)]
    treedef, energy = jax.tree.structure(starts), _NUMPY[workload.energy]

    def proposed(old: list[np.ndarray]) -> list[np.ndarray]:
        if old[0].dtype != np.bool_:
            return [x + _SCALE * random.standard_normal(x.shape, np.float32) for x in old]
        new = old[0].copy()
        new.reshape(-1)[random.integers(new.size)] ^= True
        return [new]

    def moves(steps: int) -> float:
        state, now = first, energy(treedef.unflatten(first), *args)
        best, lowest = state, now
        for _ in range(steps):
            new = proposed(state)
            value = energy(treedef.unflatten(new), *args)
            if value <= now or random.random() < np.exp((now - value) / _TEMPERATURE):
                state, now = new, value
            if value < lowest:
                best, lowest = new, value
        del best
        return float(lowest)

    return Program(moves, 0.0, runs=workload.chains)


def _dual_annealing(workload: Workload, starts: Any) -> Program:
    """Return SciPy's annealer on the jitted energy, without its local search."""
    from scipy.optimize import dual_annealing

    flat, unravel = jax.flatten_util.ravel_pytree(jax.tree.map(lambda x: x[0], starts))
    one = jax.jit(lambda x: workload.energy(unravel(x), *workload.args))
    began = time.perf_counter()
    one(flat).block_until_ready()
    spent = time.perf_counter() - began
    box = [(-6.0, 6.0)] * flat.size

    options = {"x0": np.asarray(flat, np.float64), "no_local_search": True, "rng": 0}

    def moves(steps: int) -> Any:
        energy = lambda x: float(one(x.astype(np.float32)))  # noqa: E731
        return dual_annealing(energy, box, maxfun=steps, **options)

    return Program(moves, spent, runs=workload.chains)
