"""The heart: one chain, and one annealing step; no batches, ladders or schedules."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.callbacks import callback_errors
from jaxanneal._chain.calls import describe
from jaxanneal._chain.energy import as_args, as_array, evaluate
from jaxanneal._chain.move import Move, as_move, propose
from jaxanneal._chain.parameters import Parameters, require_some
from jaxanneal._checks import number, refusal
from jaxanneal._pytree import pytree_dataclass
from jaxanneal._settings import known_settings

Energy = Callable[..., Any]


@jax.tree_util.register_pytree_with_keys_class
class Chain:
    r"""Hold one chain: where it is, and the best state that it ever saw.

    Maths: :math:`x_k`, :math:`E(x_k)` and :math:`\arg\min_{j \le k} E(x_j)` over all proposals.
    Batching: one chain; every array gains leading axes under ``vmap``.

    Args:
        params: The user's tree. Leaves that are no parameters (functions, strings) are part of the
            pytree's structure, so a chain passes through ``jit`` and ``scan`` whatever it holds.
        energy: Energy of ``params``, float ``[]``; ``+inf`` for a start without a finite energy.
        best_params: The best state so far, like ``params``.
        best_energy: Its energy, float ``[]``.

    Returns:
        A frozen pytree with these four attributes.

    Raises:
        TypeError: An array leaf is neither floating, integer nor bool.

    Example:
        >>> import jaxanneal as ja
        >>> chain = ja.init_chain({"w": 3.0}, energy=lambda p: p["w"] ** 2)
        >>> float(chain.energy), float(chain.best_params["w"])
        (9.0, 3.0)

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """

    __slots__ = ("_best_params", "_params", "best_energy", "energy")

    def __init__(self, params: Any, energy: Any, best_params: Any, best_energy: Any):
        self._params = Parameters.of(params)
        self.energy = energy
        self._best_params = Parameters.of(best_params)
        self.best_energy = best_energy

    @property
    def params(self) -> Any:
        """The current state, as the user's tree."""
        return self._params.tree

    @property
    def best_params(self) -> Any:
        """The best state so far, as the user's tree."""
        return self._best_params.tree

    def __repr__(self) -> str:
        return f"Chain(params={self.params}, energy={self.energy}, best_energy={self.best_energy})"

    def tree_flatten_with_keys(self):
        """Flatten for JAX, each field under its public name."""
        children, aux = self.tree_flatten()
        fields = ("params", "energy", "best_params", "best_energy")
        names = [jax.tree_util.GetAttrKey(field) for field in fields]
        return list(zip(names, children, strict=True)), aux

    def tree_flatten(self):
        """Flatten for JAX."""
        return (self._params, self.energy, self._best_params, self.best_energy), None

    @classmethod
    def tree_unflatten(cls, _, children):
        """Rebuild for JAX, without a look at the children."""
        self = object.__new__(cls)
        self._params, self.energy, self._best_params, self.best_energy = children
        return self


@pytree_dataclass
class StepInfo:
    """Say what one annealing step did; dropping it changes no number of the chain.

    Maths: ``delta_energy`` is :math:`E(x') - E(x)` for the proposal :math:`x'`.
    Batching: one chain; every array gains leading axes under ``vmap``.

    Args:
        accepted: Whether the chain moved to its proposal, bool ``[]``.
        delta_energy: Energy of the proposal less that of the state before, float ``[]``.
        finite: Whether the energy of the proposal was finite, bool ``[]``.

    Returns:
        A frozen pytree with these three attributes.

    Raises:
        Nothing.

    Example:
        >>> import jaxanneal as ja
        >>> energy = lambda x: x**2
        >>> chain = ja.init_chain(3.0, energy=energy)
        >>> step = ja.annealing_step
        >>> _, info = step(jax.random.key(0), chain, 1.0, energy=energy, move=ja.moves.Gaussian())
        >>> bool(info.finite)
        True

    Reference: Metropolis et al., J. Chem. Phys. 21, 1087 (1953).
    """

    accepted: jax.Array
    delta_energy: jax.Array
    finite: jax.Array


@known_settings
def init_chain(params: Any, *, energy: Energy, args: tuple[Any, ...] = ()) -> Chain:
    """Evaluate the start of one chain.

    Maths: :math:`x_0` and :math:`E(x_0)`; a start without a finite energy is stored as ``+inf``, so
    that the chain leaves it by its first finite proposal.
    Batching: one chain; call it under ``vmap`` for more.

    Args:
        params: One chain's parameters, any pytree.
        energy: ``energy(params, *args) -> real scalar``.
        args: Data passed to the energy, a tuple.

    Returns:
        A :class:`Chain` whose best state is its start.

    Raises:
        TypeError: ``args`` is no tuple, the tree has no parameters, or the energy returns anything
            but one real scalar.

    Example:
        >>> float(init_chain({"w": 3.0}, energy=lambda p, x: p["w"] * x, args=(2.0,)).energy)
        6.0

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """
    parameters = Parameters.of(params, warn=True)
    require_some(parameters, params)
    with callback_errors():
        value = start_energy(evaluate(energy, parameters.tree, as_args(args)))
    return Chain(parameters, value, parameters, value)


def start_energy(value: jax.Array) -> jax.Array:
    """Return the energy of a start: infinite where it is not finite, to be left at once."""
    return jnp.where(jnp.isfinite(value), value, jnp.inf)


@known_settings
def annealing_step(
    key: jax.Array,
    chain: Chain,
    temperature: ArrayLike,
    *,
    energy: Energy,
    move: Move | Callable[..., Any],
    args: tuple[Any, ...] = (),
    factor: ArrayLike = 1.0,
) -> tuple[Chain, StepInfo]:
    r"""Make one Metropolis step of one chain: propose, evaluate once, accept or stay.

    Maths: :math:`x' \sim q(\cdot | x)`; :math:`x \leftarrow x'` with probability
    :math:`\min(1, \exp(-(E(x') - E(x))/T) \, q(x|x')/q(x'|x))`, and the best state is kept. A
    proposal whose energy is NaN or infinite is refused.
    Batching: one chain; pure, fit for ``jit``, ``vmap``, ``scan`` and ``shard_map``.

    Args:
        key: Consumed.
        chain: The chain, as :func:`init_chain` or an earlier step made it.
        temperature: :math:`T \ge 0` in units of energy, float ``[]``.
        energy: ``energy(params, *args) -> real scalar``.
        move: A move, or a function ``(key, params) -> params`` that is symmetric.
        args: Data passed to the energy, a tuple.
        factor: Multiplies the scale of an adaptive move, float ``[]``.

    Returns:
        The chain after the step and a :class:`StepInfo`.

    Raises:
        TypeError: An input is of the wrong kind, the move changes the structure, a shape or a dtype
            of the parameters, or the energy returns anything but one real scalar.
        ValueError: ``temperature`` is known to be negative or not finite.

    Example:
        >>> import jaxanneal as ja
        >>> energy = lambda p: (p["w"] - 1.0) ** 2
        >>> chain = ja.init_chain({"w": 3.0}, energy=energy)
        >>> for i in range(200):
        ...     key = jax.random.key(i)
        ...     chain, _ = ja.annealing_step(
        ...         key, chain, 0.01, energy=energy, move=ja.moves.Gaussian(scale=0.5)
        ...     )
        >>> bool(chain.best_energy < 0.01)
        True

    Reference: Metropolis et al., J. Chem. Phys. 21, 1087 (1953); Kirkpatrick, Gelatt and Vecchi,
    Science 220, 671 (1983).
    """
    if not isinstance(chain, Chain):
        remedy = "Make it with ja.init_chain(params, energy=energy)."
        raise TypeError(refusal("chain", "a Chain", type(chain).__name__, remedy))
    data = as_args(args)
    value_of = lambda new: evaluate(energy, new.tree, data)  # noqa: E731
    inputs = (keys.as_key(key), chain, as_temperature(temperature))
    valid = lambda x: np.isfinite(x) & (x >= 0)  # noqa: E731
    expected, remedy = "a finite number >= 0", "Use 1.0 for the move as it is."
    factor = number("factor", factor, expected, valid, remedy, scalar=True)
    with callback_errors():
        chain, info, _ = transition(*inputs, value_of, as_move(move), factor)
    return chain, info


def transition(
    key: jax.Array,
    chain: Chain,
    temperature: ArrayLike,
    value_of: Callable[[Parameters], jax.Array],
    move: Move,
    factor: Any,
) -> tuple[Chain, StepInfo, jax.Array]:
    """Make one step, and also return its log acceptance probability: step sizes adapt by it."""
    old = chain._params
    new, log_hastings = propose(jax.random.fold_in(key, keys.PROPOSAL), old, move, factor)
    value = value_of(new)
    finite = jnp.isfinite(value)
    delta = value - chain.energy
    temperature = jnp.asarray(temperature, value.dtype)
    # An infinite fall is a chain leaving a start without a finite energy, not a proposal at -inf.
    judged = jnp.where(finite, delta, jnp.inf)
    accepted = accept(jax.random.fold_in(key, keys.ACCEPTANCE), judged, temperature, log_hastings)
    # Kept even if it is refused, which a Hastings term can do to the best state of all.
    improved = finite & (value < chain.best_energy)
    moved = Chain(
        chosen(accepted, new, old),
        jnp.where(accepted, value, chain.energy),
        chosen(improved, new, chain._best_params),
        jnp.where(improved, value, chain.best_energy),
    )
    log_alpha = log_acceptance(judged, temperature, log_hastings)
    return moved, StepInfo(accepted, delta, finite), log_alpha


def chosen(condition: jax.Array, new: Parameters, old: Parameters) -> Parameters:
    """Return the new parameters where the condition holds, else the old ones."""
    pairs = zip(new.leaves, old.leaves, strict=True)
    return old.with_leaves(jnp.where(condition, a, b) for a, b in pairs)


def log_acceptance(
    delta_energy: ArrayLike, temperature: ArrayLike, log_hastings: ArrayLike = 0.0
) -> jax.Array:
    """Return the log-probability of accepting a proposal, ``-inf`` where it must be refused."""
    delta, temperature, hastings = _as_floats(delta_energy, temperature, log_hastings)
    uphill = temperature * hastings - delta
    # At T = 0 only the sign counts; the division is kept away from 0/0.
    ratio = uphill / jnp.where(temperature > 0, temperature, 1)
    ratio = jnp.where(temperature > 0, ratio, jnp.where(uphill >= 0, 0.0, -jnp.inf))
    valid = (delta < jnp.inf) & (uphill == uphill)
    return jnp.where(valid, jnp.minimum(ratio, 0.0), -jnp.inf)


@known_settings
def accept(
    key: jax.Array,
    delta_energy: ArrayLike,
    temperature: ArrayLike,
    log_hastings: ArrayLike = 0.0,
) -> jax.Array:
    r"""Decide by the Metropolis-Hastings rule whether a proposal is accepted.

    Maths: accepted with probability :math:`\min(1, \exp(-\Delta E / T + h))`, where :math:`h` is
    ``log_hastings``; decided as :math:`T \log(1 - u) \le T h - \Delta E` with :math:`u` in
    :math:`[0, 1)`, which neither overflows nor takes the logarithm of zero, and at :math:`T = 0`
    accepts exactly what does not raise the energy.
    Batching: one decision; ``vmap`` over keys and numbers.

    Args:
        key: Consumed.
        delta_energy: Energy of the proposal less that of the state, float ``[]``. ``-inf`` (leaving
            a state without a finite energy) is accepted; ``nan`` and ``+inf`` are refused.
        temperature: :math:`T \ge 0` in units of energy, float ``[]``.
        log_hastings: log q(old|new) - log q(new|old), float ``[]``; 0 for a symmetric move.

    Returns:
        The decision, bool ``[]``.

    Raises:
        TypeError: ``key`` is no key, or ``temperature`` no number.
        ValueError: ``temperature`` is known to be negative or not finite, or an input is no scalar.

    Example:
        >>> bool(accept(jax.random.key(0), -1.0, 0.5)), bool(accept(jax.random.key(0), 9.0, 0.0))
        (True, False)

    Reference: Metropolis et al., J. Chem. Phys. 21, 1087 (1953); Hastings, Biometrika 57, 97
    (1970).
    """
    temperature = as_temperature(temperature)
    given = (("delta_energy", delta_energy), ("log_hastings", log_hastings))
    delta, hastings = (_as_real(path, value) for path, value in given)
    delta, temperature, hastings = _as_floats(delta, temperature, hastings)
    uniform = jax.random.uniform(keys.as_key(key), dtype=delta.dtype)
    return (delta < jnp.inf) & (jnp.log1p(-uniform) * temperature <= temperature * hastings - delta)


def as_temperature(temperature: ArrayLike) -> jax.Array:
    """Return one temperature as an array, or refuse it."""
    remedy = "Use 0 for greedy descent; under jax.vmap each chain has its own."
    expected = "a finite number >= 0"
    valid = lambda x: np.isfinite(x) & (x >= 0)  # noqa: E731
    array = number("temperature", temperature, expected, valid, remedy)
    if array.shape != ():
        raise ValueError(refusal("temperature", expected, describe(array), remedy))
    return array


def _as_real(path: str, value: Any) -> jax.Array:
    """Return one real number, not necessarily finite."""
    array = as_array(value)
    if array is None or not any(
        jnp.issubdtype(array.dtype, x) for x in (jnp.floating, jnp.integer)
    ):
        got = describe(value if array is None else array)
        raise TypeError(refusal(path, "a real number", got, "Pass a float."))
    if array.shape != ():
        remedy = "One key decides once: use jax.vmap over keys and numbers."
        raise ValueError(refusal(path, "a scalar", describe(array), remedy))
    return array


def _as_floats(delta_energy: ArrayLike, *rest: ArrayLike) -> tuple[jax.Array, ...]:
    delta = jnp.asarray(delta_energy)
    dtype = jnp.float64 if delta.dtype == jnp.float64 else jnp.float32
    return delta.astype(dtype), *(jnp.asarray(value).astype(dtype) for value in rest)
