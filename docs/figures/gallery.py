"""Draw the README's gallery: ``python docs/figures/gallery.py`` writes two PNGs beside itself."""

import pathlib

import jax.numpy as jnp

import jaxanneal as ja


def rastrigin(x):
    """Return Rastrigin's function, whose lowest of 11^4 basins is at 0."""
    return jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)))


def ising(spins):
    """Return the energy of an Ising model on a torus."""
    s = jnp.where(spins, 1.0, -1.0)
    return -jnp.sum(s * jnp.roll(s, 1, 0)) - jnp.sum(s * jnp.roll(s, 1, 1))


def draw(folder: pathlib.Path) -> None:
    """Anneal and temper, and save what ``Result.plot`` shows of each run."""
    annealed = ja.anneal(rastrigin, jnp.full(4, 3.3), key=0)
    annealed.plot().savefig(folder / "annealing.png", dpi=110)
    temperatures = jnp.geomspace(1.5, 6.0, 12)
    ladder = ja.ParallelTempering(temperatures=temperatures, ladders=4, swap_every=128)
    tempered = ja.anneal(ising, jnp.ones((8, 8), bool), key=0, method=ladder, steps=100_000)
    tempered.check().plot().savefig(folder / "tempering.png", dpi=110)


if __name__ == "__main__":
    draw(pathlib.Path(__file__).parent)
