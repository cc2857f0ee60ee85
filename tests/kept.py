"""A run over processes that is kept on disk; other processes run it, too, and print how it went.

Arguments: how many processes, which one this is, their port, a directory, and what they do:
``save`` at every step until they are killed, the same as a ``twin``, which saves its own chains in
the place of the others', or go ``on``, after which they try what is refused.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from runs import eager_for_good, often
from spread import digest, mesh

import jaxanneal as ja
from jaxanneal._engine import state
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = np.float32([5, -7])


def terraces(x):
    """Return an integer for every state, which no batch width can round."""
    return jnp.sum(jnp.round(4 * x) ** 2)


def run(devices, **settings):
    """Run 10 chains, on four devices in 12 lanes."""
    method = ja.SimulatedAnnealing(10, Geometric(16.0, 0.1))
    options = {"method": method, "move": Gaussian(0.5), "steps": 80, "block": 3}
    return ja.anneal(terraces, START, **{"key": 0, "sharding": mesh(devices)} | options | settings)


def deaf(array):
    """Return an array without what the other processes have of it."""
    mine = np.concatenate([np.asarray(shard.data) for shard in array.addressable_shards])
    return np.resize(mine, array.shape)


def began(progress):
    """Print at which step this call began."""
    if "told" not in vars(began):
        print("began", progress.step, flush=True)
        began.told = True


def refused(**settings):
    """Print why a run is refused."""
    try:
        run(4, **settings)
    except ValueError as error:
        print("refused", error, flush=True)


if __name__ == "__main__":
    count, rank, port = map(int, sys.argv[1:4])
    directory, what = sys.argv[4:]
    # As in the tests, or it would be another call.
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", count, rank)
    if what == "twin":
        state.fetch = deaf
    if what != "on":
        eager_for_good()
        run(2 * count, checkpoint=often(directory), callback=began)
    found = run(2 * count, checkpoint=ja.Checkpoint(directory), callback=began)
    print("digest", digest(found), flush=True)
    found.save(f"{directory} of {rank}")  # by each process for itself, with the chains of both
    assert digest(ja.Result.load(f"{directory} of {rank}")) == digest(found)
    refused(checkpoint=ja.Checkpoint(directory), steps=81)
    if rank == 1:
        own = {"checkpoint": ja.Checkpoint(f"{directory} of its own"), "sharding": None}
        first, again = (digest(run(2, **own)) for _ in range(2))
        print("alone", first == again == digest(found), flush=True)
