"""Two wells of unequal depth: what the coldest rung saw, and the exact density."""

import matplotlib.pyplot as plt
import numpy as np

import jaxanneal as ja


def energy(x):
    """Return the height above the floor: a barrier of 8 T at T = 0.5."""
    return 4 * (x**2 - 1) ** 2 + x / 2


method = ja.ParallelTempering(temperatures=[0.5, 1.0, 2.0], ladders=64)
result = ja.anneal(
    energy,
    1.0,  # every replica starts in the wrong well
    key=0,
    method=method,
    steps=2000,
    record_every=10,
    observe=lambda x: x,
)
samples = result.history.observed[~result.history.warmup].ravel()

grid = np.linspace(-1.6, 1.6, 400)
density = np.exp(-energy(grid) / 0.5)
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
axis.hist(samples, bins=80, range=(-1.6, 1.6), density=True, color="tab:blue", alpha=0.4)
axis.plot(grid, density / (density.sum() * (grid[1] - grid[0])), color="black")
axis.set(xlabel="x", ylabel="density", yticks=[])
