"""Methods: how chains get their temperatures, and how they exchange."""

from jaxanneal._methods._parallel_tempering import ParallelTempering as ParallelTempering
from jaxanneal._methods._simulated_annealing import SimulatedAnnealing as SimulatedAnnealing

__all__ = ["ParallelTempering", "SimulatedAnnealing"]
