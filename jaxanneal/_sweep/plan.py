"""Which configurations a sweep runs: a grid, a list or random draws, and the keys of their runs."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain import keys
from jaxanneal._chain.calls import traced
from jaxanneal._checks import MOST, count, refusal
from jaxanneal._engine.compile import Program, compile_programs

_LAST = 2**31 - 1

_REMEDY = "Write for example over={'method.cooling.start': [1.0, 10.0]}."


class Plan(NamedTuple):
    """The configurations of a sweep.

    Args:
        values: What each configuration sets, by dotted name, in row-major order.
        columns: The swept names, each with the values along its dimension (of a grid), or of all
            configurations, ``None`` where one does not set it.
        grid: Whether each name is a dimension of its own.
        repeats: Runs of each configuration.
    """

    values: list[dict[str, Any]]
    columns: dict[str, list[Any]]
    grid: bool
    repeats: int

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions of all configurations."""
        return tuple(self.columns) if self.grid else ("configuration",)

    @property
    def shape(self) -> tuple[int, ...]:
        """Their lengths."""
        if self.grid:
            return tuple(len(values) for values in self.columns.values())
        return (len(self.values),)


def as_plan(over: Any, draws: Any, repeats: Any, key: jax.Array) -> Plan:
    """Return the configurations that ``over`` describes.

    Raises:
        TypeError, ValueError: ``over`` is none of the three forms.
    """
    repeats = count("repeats", repeats, 1, "Use 1 to run each configuration once.", MOST)
    if not isinstance(over, Mapping):
        return _listed(over, draws, repeats)
    if not over:
        raise ValueError(refusal("over", "at least one setting", "none", _REMEDY))
    if draws is not None:
        n = count("draws", draws, 1, "Give the number of configurations to draw.", MOST)
        return _drawn(over, n, repeats, key)
    columns = {name: _sequence(name, values) for name, values in over.items()}
    shape = [len(values) for values in columns.values()]
    places = (np.unravel_index(index, shape) for index in range(math.prod(shape)))
    rows = [
        {name: v[int(i)] for (name, v), i in zip(columns.items(), place, strict=True)}
        for place in places
    ]
    return Plan(rows, columns, True, repeats)


def _sequence(name: str, values: Any) -> list[Any]:
    kinds = Sequence | np.ndarray | jax.Array
    if isinstance(values, str | bytes) or not isinstance(values, kinds) or _is_one(values):
        remedy = "Give all values, or draws= with functions key -> value."
        expected = "a sequence of values"
        raise TypeError(refusal(f"over[{name!r}]", expected, _shown(values), remedy))
    items = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not items:
        raise ValueError(refusal(f"over[{name!r}]", "at least one value", "none", _REMEDY))
    return items


def _is_one(values: Any) -> bool:
    return isinstance(values, np.ndarray | jax.Array) and values.ndim == 0


def _shown(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)


def _drawn(over: Mapping[str, Any], n: int, repeats: int, key: jax.Array) -> Plan:
    for name, draw in over.items():
        if not callable(draw):
            remedy = "With draws= give functions key -> value; leave draws out for a grid."
            raise TypeError(refusal(f"over[{name!r}]", "a function of a key", _shown(draw), remedy))
    columns = {
        name: [_plain(traced(f"over[{name!r}]", draw, k)) for k in draw_keys(key, n, place)]
        for place, (name, draw) in enumerate(over.items())
    }
    rows = [{name: values[c] for name, values in columns.items()} for c in range(n)]
    return Plan(rows, columns, False, repeats)


def _plain(value: Any) -> Any:
    """Return a drawn scalar as a Python number, which labels and constructors take alike."""
    if isinstance(value, jax.Array | np.ndarray | np.generic) and np.shape(value) == ():
        return np.asarray(value).item()
    return value


def _listed(over: Any, draws: Any, repeats: int) -> Plan:
    if not isinstance(over, Sequence) or isinstance(over, str | bytes):
        expected = "a dict of dotted names, or a list of such dicts"
        raise TypeError(refusal("over", expected, type(over).__name__, _REMEDY))
    if draws is not None:
        remedy = "Leave draws out, or give a dict of functions key -> value."
        raise TypeError(refusal("draws", "None with a list of configurations", draws, remedy))
    if not over or not all(isinstance(row, Mapping) and row for row in over):
        wrong = next((repr(row) for row in over if not isinstance(row, Mapping) or not row), "none")
        raise TypeError(refusal("over", "dicts of at least one setting each", wrong, _REMEDY))
    rows = [dict(row) for row in over]
    given = dict.fromkeys(name for row in rows for name in row)
    return Plan(rows, {n: [row.get(n) for row in rows] for n in given}, False, repeats)


def users_key(key: Any) -> jax.Array:
    """Return the user's own key as a typed one: a seed is ``jax.random.key(seed)``.

    Raises:
        TypeError, ValueError: It is none of the kinds that ``anneal`` takes.
    """
    keys.as_key(key)
    key = keys.as_seed(key)
    if isinstance(key, int | np.integer):
        words = jnp.asarray(keys.seed_words(key))
        return jax.random.wrap_key_data(words, impl="threefry2x32")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(key), impl="threefry2x32")
    return key


@functools.lru_cache(maxsize=1)
def _keys_program() -> Program:
    def fold(key: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(key, first), second)

    def own(key: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
        return jax.random.key_data(keys.as_key(fold(key, first, second)))

    # One after another: there are key types whose words change under vmap.
    return Program(
        lambda key, first, second: jax.lax.map(lambda pair: own(key, *pair), (first, second))
    )


def run_keys(key: jax.Array, configurations: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Return the words of the runs' keys: of ``fold_in(fold_in(key, c), r)`` each.

    Args:
        key: The user's typed key, folded.
        configurations: c, int ``[n]``.
        repeats: r, int ``[n]``.

    Returns:
        ``uint32 [n, 2]``, for :func:`jaxanneal._chain.keys.from_data`.
    """
    n = len(configurations)
    length = 1 << max(n - 1, 0).bit_length()  # few lengths, few compilations
    both = [np.resize(x.astype(np.uint32), length) for x in (configurations, repeats)]
    program = _keys_program()
    compile_programs(program.prepare(key, *both))
    return np.asarray(program(key, *both))[:n]


def draw_keys(key: jax.Array, n: int, place: int) -> list[jax.Array]:
    """Return the keys from which the setting at one place of ``over`` is drawn.

    ``fold_in(fold_in(key, c), 2**31 - 1 - place)``: no repeat is ever so high.
    """
    fold: Callable[..., jax.Array] = jax.random.fold_in
    return [fold(fold(key, c), _LAST - place) for c in range(n)]
