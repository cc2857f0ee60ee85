"""History: a bounded record of a run, thinned in steps, and summarised where it would not fit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._checks import host_array
from jaxanneal._engine.blocks import over_chains
from jaxanneal._engine.setup import Data, Layout, Setup
from jaxanneal._engine.sharding import from_owner, gather
from jaxanneal._engine.state import State, trials_of, trials_on_host
from jaxanneal._methods.protocol import Trials
from jaxanneal._pytree import pytree_dataclass, replace

RECORDS = 1000
_SUMMARIES = 100  # each sorts all chains, as dear as a few moves of a cheap energy
_BYTES = 64 * 2**20
_BUFFER_BYTES = 4 * 2**20
_BUFFER_RECORDS = 128
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Summary(NamedTuple):
    """A field of the history over chains (in parallel tempering: over ladders)."""

    min: Any
    q25: Any
    median: Any
    q75: Any
    max: Any
    mean: Any


class History(NamedTuple):
    """Hold what was recorded of a run, one row a record.

    Fields are ``(records, chains)``, in parallel tempering ``(records, ladders, rungs)`` by rung;
    or a named tuple ``(min, q25, median, q75, max, mean)`` of ``(records,)`` or
    ``(records, rungs)`` where all chains together would not fit into 64 MB.

    Args:
        step: Total moves per chain at the record, int ``(records,)``.
        temperature: Temperature of the last move, in units of energy; NaN where basin hopping has
            not found it yet.
        energy: Current energy.
        best_energy: Best energy of the chain so far.
        acceptance_rate: Accepted proposals over all, since the last record; NaN where there was
            none. In basin hopping those are the hops that ended.
        warmup: Whether the record belongs to the warm-up, bool ``(records,)``.
        observed: What ``observe`` returned, or ``None``.
        replica: Number of the replica at each rung, from 0 for the one that began at the coldest,
            int ``(records, ladders, rungs)``, where summarised ``(records, rungs)`` of the first
            ladder; ``None`` without a ladder.
    """

    step: Any
    temperature: Any
    energy: Any
    best_energy: Any
    acceptance_rate: Any
    warmup: Any
    observed: Any
    replica: Any = None


@pytree_dataclass
class Recorder:
    """A buffer of records on the device, emptied by the driver after every chunk.

    Args:
        rows: The fields of the history, each with a leading axis of the buffer's length.
        count: Records in the buffer, int ``[]``.
        step: Step of the last record, or of the start, int ``[]``.
        trials: What was proposed in each slot until then.
    """

    rows: History
    count: jax.Array
    step: jax.Array
    trials: Trials


def default_record_every(steps: int) -> int:
    """Return the thinning that gives at most 1,000 records."""
    return max(1, -(-steps // RECORDS))


def layout(state: State, observed: Any, steps: int, record_every: int | None) -> tuple[Layout, int]:
    """Choose between all chains and a summary, the length of the buffer, and the thinning.

    Args:
        state: The state of the run, or its shapes.
        observed: Shapes of what is observed at one record.
        steps: Moves in this call.
        record_every: Moves between records; ``None``: as few as fit, which is not part of the
            layout, because another number is no other program.
    """
    itemsize = np.dtype(state.chains.energy.dtype).itemsize
    labels = np.dtype(np.int32).itemsize * state.method.has_rungs  # of replicas
    row = (4 * itemsize + labels) * state.method.chains + sum(
        leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(observed)
    )
    summary = row * len(Summary._fields) // state.method.shape[0]  # over chains or ladders
    every = default_record_every(steps) if record_every is None else record_every
    summarise = row * -(-steps // every) > _BYTES
    row = max(1, summary if summarise else row)
    if record_every is None:
        records = min(_SUMMARIES, _BYTES // row) if summarise else _BYTES // row
        every = max(every, -(-steps // max(1, records)))
    return Layout(summarise, int(np.clip(_BUFFER_BYTES // row, 4, _BUFFER_RECORDS))), every


def observe_slots(state: State, data: Data, setup: Setup) -> Any:
    """Observe every chain, or in parallel tempering the coldest rung of each ladder."""
    observe, axes = setup.observe, setup.axes
    if observe is None:
        return None
    method, params, mine = state.method, state.chains._params, state.lanes
    see = lambda params: observe(data.observe, params, data.args)  # noqa: E731
    if not method.has_rungs:
        seen = over_chains(see, params, setup.width)
        result = jax.tree.map(lambda x: gather(x, axes)[: method.chains], seen)
    else:
        cold = method.order(state.exchange).reshape(method.shape)[:, 0]
        params = jax.tree.map(lambda x: x[cold % mine], params)
        seen = over_chains(see, params, min(setup.width, cold.shape[0]))
        result = from_owner(seen, cold // mine, axes)
    return jax.tree.map(jnp.asarray, result)


def new_recorder(row: Any, step: int, state: State, layout: Layout) -> Recorder:
    """Return an empty buffer for records shaped like ``row``, with room for one at the end.

    Args:
        row: Shapes of one record.
        step: Moves before the first record.
        state: The state before them, or its shapes.
        layout: How the run records.
    """
    size = layout.capacity + 1
    rows = jax.tree.map(lambda x: np.zeros((size, *x.shape), x.dtype), row)
    none, at = host_array(0, np.int32), host_array(step, np.int32)
    return Recorder(rows, none, at, _first_trials(state))


def _first_trials(state: State) -> Trials:
    """Return what was proposed before the first record, nothing if the state is of shapes."""
    if isinstance(state.accepted, jax.ShapeDtypeStruct):
        shapes = jax.eval_shape(trials_of, state)
        return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    return jax.tree.map(lambda x: host_array(np.array(x)), trials_on_host(state))


def record(recorder: Recorder, state: State, data: Data, setup: Setup) -> Recorder:
    """Add one row to the buffer."""
    row = make_row(recorder.step, recorder.trials, state, data, setup)
    put = jax.lax.dynamic_update_index_in_dim  # `at[].set` scatters, which takes longer to compile
    rows = jax.tree.map(lambda x, value: put(x, value, recorder.count, 0), recorder.rows, row)
    return Recorder(rows, recorder.count + 1, state.step, trials_of(state, setup.axes))


def make_row(since: jax.Array, before: Trials, state: State, data: Data, setup: Setup) -> History:
    """Return one record of the run as it stands."""
    method, count, axes = state.method, state.method.chains, setup.axes
    by_slot = lambda x: method.by_slot(state.exchange, gather(x, axes)[:count])  # noqa: E731
    last = jnp.maximum(state.step - 1, 0)
    temperature = method.slot_temperatures(state.exchange, last)
    fields = {
        "energy": by_slot(state.chains.energy),
        "best_energy": by_slot(state.chains.best_energy),
        "acceptance_rate": rate_between(before, trials_of(state, axes), state.step - since),
    }
    fields = {name: x.reshape(method.shape) for name, x in fields.items()}
    fields["temperature"] = jnp.broadcast_to(temperature, method.shape)
    observed = observe_slots(state, data, setup)
    replica = replicas(state)
    if setup.layout.summarise:
        fields = {name: summary(x) for name, x in fields.items()}
        observed = jax.tree.map(summary, observed)
        replica = None if replica is None else replica[0]
    warmup = state.step <= method.warmup_end()
    return History(step=state.step, warmup=warmup, observed=observed, replica=replica, **fields)


def rate_between(before: Trials, now: Trials, steps: jax.Array) -> jax.Array:
    """Return accepted over all proposals of some steps, NaN in a slot where there was none."""
    number = steps if now.number is None else now.number - before.number
    # Of a record before the first move nothing is known: 0 / 0.
    proposals = jnp.where(number > 0, number.astype(float), jnp.nan)
    return (now.accepted - before.accepted).astype(float) / proposals


def replicas(state: State) -> jax.Array | None:
    """Return the number of the replica at each rung of each ladder, ``None`` without ladders."""
    method = state.method
    if not method.has_rungs:
        return None
    return method.order(state.exchange).reshape(method.shape) % method.shape[1]


def summary(values: jax.Array) -> Summary:
    """Summarise the leading axis."""
    numbers = values if jnp.issubdtype(values.dtype, jnp.floating) else values.astype(float)
    quantiles = jnp.quantile(numbers, jnp.asarray(_QUANTILES, numbers.dtype), axis=0)
    return Summary._make((*quantiles, jnp.mean(numbers, axis=0)))


def empty(recorder: Recorder) -> tuple[Recorder, list[Any]]:
    """Return the recorder with an empty buffer, and the rows as NumPy arrays.

    Trimmed with NumPy: slicing a JAX array compiles once per length.
    """
    count = int(recorder.count)
    if count == 0:
        return recorder, []
    rows = jax.tree.map(lambda x: np.array(np.asarray(x)[:count]), recorder.rows)
    return replace(recorder, count=np.zeros((), np.int32)), [rows]


def join(chunks: list[Any], like: Any) -> History:
    """Concatenate the rows of all chunks; ``like`` gives the fields where there are none."""
    if not chunks:
        return jax.tree.map(lambda x: np.zeros((0, *x.shape[1:]), x.dtype), like)
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
