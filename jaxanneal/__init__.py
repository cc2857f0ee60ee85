"""Simulated annealing and parallel tempering of any pytree, as one compiled JAX program."""

from jaxanneal import cooling as cooling
from jaxanneal import moves as moves
from jaxanneal._algorithm import algorithm as algorithm
from jaxanneal._anneal import anneal as anneal
from jaxanneal._calibrate import calibrate as calibrate
from jaxanneal._chain import Chain as Chain
from jaxanneal._chain import StepInfo as StepInfo
from jaxanneal._chain import accept as accept
from jaxanneal._chain import annealing_step as annealing_step
from jaxanneal._chain import init_chain as init_chain
from jaxanneal._checkpoint import Checkpoint as Checkpoint
from jaxanneal._host_devices import use_host_devices as use_host_devices
from jaxanneal._methods import ParallelTempering as ParallelTempering
from jaxanneal._methods import SimulatedAnnealing as SimulatedAnnealing
from jaxanneal._polish import polish as polish
from jaxanneal._result import Result as Result
from jaxanneal._start import stacked as stacked
from jaxanneal._stop_reason import StopReason as StopReason
from jaxanneal._sweep import sweep as sweep
from jaxanneal._version import __version__ as __version__

__all__ = [
    "Chain",
    "Checkpoint",
    "ParallelTempering",
    "Result",
    "SimulatedAnnealing",
    "StepInfo",
    "StopReason",
    "__version__",
    "accept",
    "algorithm",
    "anneal",
    "annealing_step",
    "calibrate",
    "cooling",
    "init_chain",
    "moves",
    "polish",
    "stacked",
    "sweep",
    "use_host_devices",
]
