"""Moves: how a chain proposes its next state."""

from jaxanneal._chain.move import Move as Move
from jaxanneal.moves._continuous import Gaussian as Gaussian
from jaxanneal.moves._continuous import Laplace as Laplace
from jaxanneal.moves._continuous import StudentT as StudentT
from jaxanneal.moves._continuous import Uniform as Uniform
from jaxanneal.moves._discrete import Flip as Flip
from jaxanneal.moves._discrete import IntegerStep as IntegerStep
from jaxanneal.moves._mixture import Mixture as Mixture
from jaxanneal.moves._per_leaf import PerLeaf as PerLeaf

__all__ = [
    "Flip",
    "Gaussian",
    "IntegerStep",
    "Laplace",
    "Mixture",
    "Move",
    "PerLeaf",
    "StudentT",
    "Uniform",
]
