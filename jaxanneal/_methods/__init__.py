"""Methods: who decides the temperature of each chain, and which chains exchange.

What all methods offer stands in ``protocol``. Nothing here moves a chain or compiles a program.
"""

from jaxanneal._methods.basin_hopping import BasinHopping as BasinHopping
from jaxanneal._methods.parallel_tempering import ParallelTempering as ParallelTempering
from jaxanneal._methods.simulated_annealing import SimulatedAnnealing as SimulatedAnnealing

__all__ = ["BasinHopping", "ParallelTempering", "SimulatedAnnealing"]
