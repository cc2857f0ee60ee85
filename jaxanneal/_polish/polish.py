"""Polish: gradient descent from the best states of a run, with any optax optimiser."""

from typing import Any

import jax
import numpy as np
import optax

from jaxanneal._chain.callbacks import callback_errors
from jaxanneal._chain.chain import Chain, Energy
from jaxanneal._chain.parameters import Parameters, require_users
from jaxanneal._checks import count, host_array, refusal, refuse_tracing, shown
from jaxanneal._diagnostics.diagnostics import Diagnostics
from jaxanneal._engine.blocks import default_width, padded_count
from jaxanneal._engine.compile import compile_programs
from jaxanneal._engine.history import History, default_record_every
from jaxanneal._engine.programs import start_program
from jaxanneal._engine.setup import Data
from jaxanneal._engine.sharding import default_device, everywhere, fetch
from jaxanneal._engine.starts import (
    Stacked,
    chain_count,
    initial_parameters,
    is_initialiser,
    require_finite,
)
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER
from jaxanneal._polish.descent import (
    Descent,
    Records,
    as_optimizer,
    begin_program,
    descent_program,
    settle_program,
    traced_begin,
    traced_step,
)
from jaxanneal._pytree import shapes_of_one
from jaxanneal._result.continuation import digest
from jaxanneal._result.distinct import distinct_best
from jaxanneal._result.result import Result
from jaxanneal._run import chunks
from jaxanneal._run.interrupt import Clock, Interruption, interruptible
from jaxanneal._run.problem import as_data, require_energy, traced_energy
from jaxanneal._settings import known_settings
from jaxanneal._warn import warn
from jaxanneal.moves._box import Box, as_box


@known_settings
def polish(
    energy: Energy,
    params_or_result: Any,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 500,
    args: tuple[Any, ...] | None = None,
    top: int = 8,
    bounds: Any = None,
) -> Result[Any]:
    r"""Descend by gradients from the best chains, and never return a worse state than was given.

    Maths: :math:`x \leftarrow \mathrm{clip}(x + u(\nabla E(x)))` with the update u of an optax
    optimiser; the best state of each chain is kept, the given one if nothing improves on it. A
    chain whose energy, gradient or update is not finite stops there; the others go on.
    Batching: the chains run side by side. A line search lasts as long as that of the slowest chain.

    Args:
        energy: ``energy(params, *args) -> real scalar``, differentiable by JAX. Where it is flat,
            such as between the jumps of a step function, there is nothing to descend; a gradient
            that is zero at every step of every chain gives a warning.
        params_or_result: A :class:`Result`, one tree, or ``ja.stacked(tree)``.
        optimizer: Any optax optimiser, schedules and line searches such as ``optax.lbfgs()``
            included; ``None``: ``optax.adam(1e-2)``. A new one of equal settings compiles nothing;
            other settings do, except those in the state, as ``optax.inject_hyperparams`` has them.
        steps: Gradient steps, >= 1.
        args: Data passed to the energy, a tuple; ``None``: that of the Result's run, or none.
        top: Start from this many of the best distinct states of a Result.
        bounds: As in ``ja.moves.Gaussian``; by default those of the result's move, or those that
            the result was polished in.
            Each step is followed by a projection, which a line search does not know of: expect
            less of ``optax.lbfgs()`` where bounds are active.

    Returns:
        A :class:`Result` of these chains; ``state`` is ``None``. Integer and bool leaves, and
        leaves that the result's move froze, stay as they were, in a second polish too. Half-
        precision leaves descend in float32 and are rounded before each evaluation. Start, best and
        last state are evaluated by one program, for a Result in blocks of its run's width, and the
        best of them is returned. ``gradients`` counts steps and line searches, ``evaluations``
        energies without a gradient; ``diagnostics.nonfinite`` is 1 for each chain that stopped.
        Ctrl-C returns what was found.

    Raises:
        TypeError: An input is of the wrong kind, no leaf may move, or the energy has no derivative.
        ValueError: An input is out of range, or no start has a finite energy.
        RuntimeError: The call is made under ``jit`` or ``vmap``.

    Example:
        >>> import jaxanneal as ja
        >>> float(ja.polish(lambda x: (x - 1.0) ** 2, 3.0, steps=1000).params.round(3))
        1.0

    Reference: Kingma and Ba, ICLR (2015), for the default optimiser; Nocedal and Wright, Numerical
    Optimization (2006), algorithms 3.5 and 7.4, for ``optax.lbfgs``.
    """
    refuse_tracing("polish", "Polish outside of them; it batches its chains itself.")
    require_energy(energy)
    data = _run_data(params_or_result) if args is None else as_data(args)
    steps = count("steps", steps, 1, "Pass the number of gradient steps.")
    if steps >= NEVER:
        remedy = "Polish the result again to go on."
        raise ValueError(refusal("steps", f"less than {NEVER}", steps, remedy))
    top = count("top", top, 1, "Use 1 for the best state alone.")
    starts, known = _starts(params_or_result, top)
    state = params_or_result.state if isinstance(params_or_result, Result) else None
    box = as_box(bounds, _held(params_or_result), starts)
    transformation, clock = as_optimizer(optimizer), Clock()
    with interruptible() as interruption, callback_errors():
        width = None if state is None else state.width
        call = _Call(energy, transformation, starts, known, box, data, steps, width, clock)
        return call.descend(interruption)


class _Call:
    """One call: its programs, and what they make of the starts.

    Args:
        energy: The energy.
        optimizer: The optimiser.
        starts: Where the chains start, ``[chains, ...]``.
        known: Their energies as a Result has them, NaN where none has, float ``[chains]``.
        box: Where they may go.
        data: The data.
        steps: Gradient steps.
        width: Chains per block of the evaluations that are reported, or ``None``.
        clock: The call's clock.
    """

    def __init__(
        self,
        energy: Any,
        optimizer: Any,
        starts: Parameters,
        known: np.ndarray,
        box: Box,
        data: Parameters,
        steps: int,
        width: int | None,
        clock: Clock,
    ):
        self.starts, self.args, self.steps, self.clock = starts, data, steps, clock
        self.known, self.box = known, box
        self.every = default_record_every(steps)
        self.limits = (box.lower, box.upper)
        self.chains = starts.leaves[0].shape[0]
        size = sum(leaf.nbytes for leaf in starts.leaves) // self.chains
        own = default_width(self.chains, size, default_device().platform)
        # In the width of the run that found them, energies of the starts are those of that run.
        self.width, self.known_width = own, own if width is None else width
        self.settle = settle_program()
        self._prepare(energy, optimizer)

    def _prepare(self, energy: Any, optimizer: Any) -> None:
        """Trace everything, so that a mistake shows before anything compiles; then compile."""
        traced = traced_energy(energy, shapes_of_one(self.starts), self.args)
        self.data = Data(self.args.leaves, traced.constants)
        self.evaluate = start_program(traced.computation, self.known_width, None)
        evaluate = self.evaluate.prepare(self.starts, self.data)
        chains = self.evaluate.shapes(self.starts, self.data)
        self.begins = traced_begin(optimizer, self.box.free, shapes_of_one(chains))
        self.begin = begin_program(self.begins.computation, self.width)
        begin = self.begin.prepare(self.begins.constants, chains)
        inputs = self.begin.shapes(self.begins.constants, chains)
        descent = shapes_of_one(inputs[0])
        parts = (energy, optimizer, self.box.free, descent, self.limits, self.args)
        self.steps_of = traced_step(*parts)
        self.step = descent_program(self.steps_of.computation, self.width)
        step = self.step.prepare(*inputs, *self._control(0, 0))
        settle = self.settle.prepare(self.known, chains, chains, chains)
        self.clock.compiling += compile_programs(evaluate, begin, step, settle)

    def _control(self, first: int, end: int) -> tuple[Any, ...]:
        numbers = (host_array(number, np.int32) for number in (first, end, self.every))
        return self.limits, self.steps_of.constants, self.args.leaves, *numbers

    def descend(self, interruption: Interruption) -> Result[Any]:
        """Make the steps, unless Ctrl-C ends them, and return the result."""
        start: Chain = self.evaluate(self.starts, self.data)
        require_finite(start, self.chains)
        descent, records = self.begin(self.begins.constants, start)
        step, pace = 0, chunks.Pace()
        while step < self.steps and not interruption.requested:
            end = min(step + pace.length(chunks.LOOK_SECONDS), self.steps)
            inputs = (descent, records, *self._control(step, end))
            (descent, records), seconds = chunks.timed(self.step, inputs)
            pace.measure(end - step, end - step, seconds)
            step = end
        best: Chain = self.evaluate(descent.chain._best_params, self.data)
        last: Chain = self.evaluate(descent.chain._params, self.data)
        return self._result(self.settle(self.known, start, best, last), descent, records, step)

    def _result(self, chains: Chain, descent: Descent, records: Records, steps: int) -> Result[Any]:
        energies = np.asarray(chains.best_energy)
        best = int(np.argmin(energies))
        if steps and not np.any(descent.sloped):
            remedy = "It is flat or stationary at every start; ja.anneal needs no gradient."
            text = refusal("energy", "a gradient that is not zero", "zeros at every step", remedy)
            warn(text)
        stopped = ~np.asarray(descent.going) | ~np.isfinite(np.asarray(chains.energy))
        unknown = np.full(self.chains, np.nan)
        return Result(
            params=jax.tree.map(lambda x: x[best], chains._best_params).tree,
            energy=float(energies[best]),
            chains=chains,
            history=self._history(records, chains, steps),
            diagnostics=Diagnostics(unknown, unknown, stopped.astype(int)),
            stop_reason=StopReason.STEPS if steps == self.steps else StopReason.INTERRUPTED,
            steps=steps,
            evaluations=3 * padded_count(self.chains, self.known_width),
            gradients=steps * padded_count(self.chains, self.width)
            + int(np.sum(np.asarray(descent.searched), dtype=np.int64)),
            seconds=self.clock.seconds,
            compile_seconds=self.clock.compiling,
            state=None,
            fixed=len(self.starts.structure.fixed),
            box=self.box,
        )

    def _history(self, records: Records, chains: Chain, steps: int) -> History:
        """Return the records; no step has looked at the last state, but ``chains`` have."""
        rows = -(-steps // self.every)
        energy, best = (
            np.array(np.asarray(x)[:, :rows].T) for x in (records.energy, records.best_energy)
        )
        energy[-1:], best[-1:] = chains.energy, chains.best_energy
        step = np.minimum(np.arange(1, rows + 1) * self.every, steps)
        # Gradient descent has no temperature, and accepts whatever comes.
        unknown = np.full(energy.shape, np.nan)
        return History(step, unknown, energy, best, unknown, np.zeros(rows, bool), None)


def _run_data(given: Any) -> Parameters:
    """Return the data of the run that is polished, or none; a file holds a digest of it alone."""
    none = as_data(())
    state = given.state if isinstance(given, Result) else None
    if state is None:
        return none
    if not isinstance(state.args, str):
        return everywhere(state.args, None)
    if state.args != digest(none):
        remedy = "Pass the same as to ja.anneal; args=() for an energy that takes none."
        raise TypeError(refusal("args", "the data of the run, which no file holds", None, remedy))
    return none


def _held(given: Any) -> Any:
    """Return what bounds and freezes a result: the box it was polished in, or its run's move."""
    if not isinstance(given, Result):
        return None
    state = given.state
    return given.box if state is None else state.box or state.engine_state.move


def _starts(given: Any, top: int) -> tuple[Parameters, np.ndarray]:
    """Return the starts, stacked, and their energies where these are known, else NaN."""
    if isinstance(given, Result):
        best = np.array(distinct_best(given.chains, top))
        starts = jax.tree.map(lambda x: x[best], given.chains._best_params)
        return everywhere(starts, None), fetch(given.chains.best_energy)[best]
    if is_initialiser(given):
        expected = "a Result, a tree of parameters or ja.stacked(tree)"
        remedy = "Call it: ja.stacked(jax.vmap(function)(jax.random.split(jax.random.key(0), 8)))."
        raise TypeError(refusal("params_or_result", expected, shown(given), remedy))
    if isinstance(given, Stacked):
        stack = chain_count(given)
        starts = initial_parameters(given, None, 1 if stack is None else stack)
    else:
        require_users(given)
        one = Parameters.of(given, warn=True)
        starts = one.with_leaves(leaf[None] for leaf in one.leaves)
    number = starts.leaves[0].shape[0] if starts.leaves else 0
    return starts, np.full(number, np.nan, jax.dtypes.canonicalize_dtype(float))
