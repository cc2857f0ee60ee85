"""A run whose digest says whether it depends on where it ran; other processes run it, too."""

import hashlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja

# Not made here: the first array starts JAX, whose devices are counted below.
METHODS = {
    "SA": lambda: ja.SimulatedAnnealing(chains=40),
    "SA in blocks that divide": lambda: ja.SimulatedAnnealing(chains=32),
    "PT": lambda: ja.ParallelTempering(rungs=8, ladders=5, swap_every=3),
}
DATA = np.random.default_rng(0).normal(size=(50, 12)).astype(np.float32)
START = {"w": np.full((12, 7), 0.1, np.float32), "v": np.zeros(7, np.float32)}


def energy(params, x):
    return jnp.mean((jnp.tanh(x @ params["w"]) @ params["v"] - 1) ** 2)


def second_layer(params, x):
    return params["v"]


def annealed(method, sharding, steps=200, **changes):
    options = {
        "args": (DATA,),
        "observe": second_layer,
        "sharding": sharding,
        "block": 8,
        **changes,
    }
    if "state" in options:
        return ja.anneal(energy, steps=steps, **options)
    return ja.anneal(energy, START, key=0, method=METHODS[method](), steps=steps, **options)


def mesh(devices):
    return jax.make_mesh((devices,), ("chains",), devices=jax.devices()[:devices])


def digest(*results):
    """Return a digest of what every process knows of the results."""
    told = [(r.params, r.energy, r.history, r.diagnostics, r.steps, r.evaluations) for r in results]
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(told)]
    return hashlib.sha256(b"".join(leaves)).hexdigest()


def digests(devices, methods=tuple(METHODS)):
    """Return a digest of a run, the one that goes on from it, and polish, for each method."""
    found = []
    for method in methods:
        run = annealed(method, mesh(devices))
        longer = annealed(method, mesh(devices), 100, state=run.state)
        polished = ja.polish(energy, run, args=(DATA,), top=2, steps=3)
        found.append(digest(run, longer, polished))
    return found


if __name__ == "__main__":
    count, rank, port, *devices = map(int, sys.argv[1:])
    jax.config.update("jax_num_cpu_devices", max(devices) // count)
    if count > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", count, rank)
    for number in devices:
        print("digest", *digests(number), flush=True)
