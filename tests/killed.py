"""A process that forks one run after another, for a test that kills them.

It has imported everything but has not touched a device, so that a fork is sound and cheap. It reads
a directory a line, and writes the number of the process that runs there and then how it ended.
"""

import os
import sys

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from jaxanneal._run import checkpoint, chunks

X = np.linspace(-1, 1, 8, dtype=np.float32)


def energy(params, x):
    return jnp.mean((jnp.tanh(params["w"] * x) + params["b"] - jnp.sin(3 * x)) ** 2)


def run(**settings):
    start = {"w": np.float32(0), "b": np.float32(0)}
    method = ja.SimulatedAnnealing(chains=8)  # calibrated, in a program that compiles quickly
    return ja.anneal(energy, start, key=5, args=(X,), method=method, steps=3000, **settings)


def serve():
    # As in the tests, or it would be another call; and as many looks and saves as there can be.
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    chunks.LOOK_SECONDS, checkpoint._SHARE = 0.0, 1.0
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(checkpoint=ja.Checkpoint(line.strip(), every_seconds=1e-9))
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    serve()
