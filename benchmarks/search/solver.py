"""What the suite asks of a solver, ours or another library's."""

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.problems.problem import Problem


class Attempt(NamedTuple):
    """What one run did for one tolerance.

    Args:
        solved: Whether it came within the tolerance.
        evaluations: Up to there, or of the whole run; a value with its gradient counts three.
        seconds: Processor time up to there, or of the whole run, without compilation.
        gap: The least energy above the optimum, in the problem's units.
    """

    solved: bool
    evaluations: int
    seconds: float
    gap: float


class Ready(NamedTuple):
    """A solver whose programs for a problem are compiled.

    Args:
        attempts: ``seed ->`` an attempt for each tolerance of the problem.
        compile_seconds: Processor time of compilation.
    """

    attempts: Callable[[int], list[Attempt]]
    compile_seconds: float


class Solver(NamedTuple):
    """A solver.

    Args:
        name: As tables show it.
        prepare: ``problem -> Ready``.
        takes: Whether it can solve such a problem.
        programs: Solvers of one text here share programs, which the first one compiles.
        package: The package that it comes from.
    """

    name: str
    prepare: Callable[[Problem], Ready]
    takes: Callable[[Problem], bool]
    programs: str
    package: str
