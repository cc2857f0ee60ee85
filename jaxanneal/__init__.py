"""Simulated annealing and parallel tempering of any pytree, as one compiled JAX program."""

from jaxanneal import cooling as cooling
from jaxanneal import moves as moves
from jaxanneal._chain.chain import Chain as Chain
from jaxanneal._chain.chain import StepInfo as StepInfo
from jaxanneal._chain.chain import accept as accept
from jaxanneal._chain.chain import annealing_step as annealing_step
from jaxanneal._chain.chain import init_chain as init_chain
from jaxanneal._engine.host_devices import use_host_devices as use_host_devices
from jaxanneal._engine.starts import stacked as stacked
from jaxanneal._engine.stop_reason import StopReason as StopReason
from jaxanneal._methods import BasinHopping as BasinHopping
from jaxanneal._methods import ParallelTempering as ParallelTempering
from jaxanneal._methods import SimulatedAnnealing as SimulatedAnnealing
from jaxanneal._polish.polish import polish as polish
from jaxanneal._result.result import Result as Result
from jaxanneal._run.algorithm import algorithm as algorithm
from jaxanneal._run.anneal import anneal as anneal
from jaxanneal._run.calibrate import calibrate as calibrate
from jaxanneal._run.checkpoint import Checkpoint as Checkpoint
from jaxanneal._run.minimize import minimize as minimize
from jaxanneal._sweep.sweep import sweep as sweep
from jaxanneal._version import __version__ as __version__

__all__ = [
    "BasinHopping",
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
    "minimize",
    "moves",
    "polish",
    "stacked",
    "sweep",
    "use_host_devices",
]
