"""Whether anything moved: energies that never change, parameters that stand still, step sizes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.computation import Traced
from jaxanneal._chain.move import target_of
from jaxanneal._chain.parameters import Parameters
from jaxanneal._chain.prefix import per_parameter
from jaxanneal._chain.step_size import LOG_LIMITS
from jaxanneal._diagnostics.check_ladder import named
from jaxanneal._diagnostics.remedies import code_of, move_more, much_less
from jaxanneal._engine.history import Summary
from jaxanneal._engine.sharding import fetch, take
from jaxanneal._engine.starts import Begun
from jaxanneal._engine.state import State
from jaxanneal.moves._discrete import IntegerStep
from jaxanneal.moves._per_leaf import parts_of
from jaxanneal.moves._perturbation import Perturbation

# Fewer moves than this tell nothing.
_MOVES = 100

# Accepted moves of one coordinate each after which one of n has stood still with e^-20 by chance.
_ENOUGH = 20

# A step-size factor within this of its limit is there.
_AT = 1e-3


def still_doubts(result: Any) -> list[str]:
    """Say so if no energy ever changed, or if a parameter never moved."""
    state, begun = result.state.engine_state, result.state.begun
    accepted = int(np.sum(np.asarray(state.accepted, np.int64)))
    if int(state.step) < _MOVES or accepted == 0:
        return []
    still = None if begun is None else stood_still(state, begun)
    energy, all_still = constant_energy(result), still is not None and all(map(np.all, still))
    if energy is not None:
        moves = (int(state.step) - result.state.since) * state.method.chains
        if accepted + int(np.sum(result.diagnostics.nonfinite)) < moves:
            return []  # what was refused had another energy: they stand at the bottom
        return [
            _nothing_moved(state.given_move, accepted) if all_still else _constant(result, energy)
        ]
    if begun is None or still is None or all_still:  # they moved, and are back where they began
        return []
    if state.method.gradients:  # descents end on limits, and every hop moves a row
        return []
    return _unmoved(state, begun, still, accepted * len(begun.lanes) / state.method.chains)


def unread_doubts(result: Any) -> list[str]:
    """Say so if the energy does not depend on a parameter that moves."""
    traced, begun = result.state.energy, result.state.begun
    if begun is None or not isinstance(traced, Traced):  # of a file
        return []
    one = begun.params.with_leaves(leaf[0] for leaf in begun.params.leaves)
    free = _free(result.state.engine_state.given_move, one)
    reads = traced.computation.reads[: len(one.leaves)]
    places = zip(one.structure.paths(), reads, free, strict=True)
    names = [path for path, is_read, moves in places if not is_read and np.any(moves)]
    if not names or not any(reads):  # an energy that reads none never changes, which is told
        return []
    return [
        f"the energy does not depend on {' and '.join(names)}: what the result says of it is noise."
        " Let the energy use it, or hold it on purpose: with None in ja.moves.PerLeaf, or in args=."
    ]


def constant_energy(result: Any) -> float | None:
    """Return the energy that all chains had at all times, ``None`` where there were others."""
    history, chains = result.history, result.chains
    values = [fetch(chains.energy), fetch(chains.best_energy)]
    for field in (history.energy, history.best_energy):
        values += [field.min, field.max] if isinstance(field, Summary) else [field]
    known = np.concatenate([np.ravel(np.asarray(value)) for value in values])
    first = known[0]
    return float(first) if np.isfinite(first) and np.all(known == first) else None


def stood_still(state: State, begun: Begun) -> list[np.ndarray]:
    """Return which entries of each parameter are in all of some chains as they began.

    Both where these chains are and where they were best, bit for bit.
    """
    trees = (state.chains._params, state.chains._best_params)
    now, best = ([fetch(x) for x in take(list(tree.leaves), begun.lanes)] for tree in trees)
    places = zip(begun.params.leaves, now, best, strict=True)
    return [np.all((a == b) & (a == c), axis=0) for a, b, c in places]


def _nothing_moved(move: Any, accepted: int) -> str:
    text = f"no parameter ever moved, although {accepted:,} proposals were accepted"
    if isinstance(move, Perturbation):
        return f"{text}: all steps are below the rounding of the parameters. {move_more(move)}"
    return (
        f"{text}: the move returns its input. Let it return other parameters than it is given, by "
        "a random step that is made with its key."
    )


def _constant(result: Any, energy: float) -> str:
    state = result.state.engine_state
    farther = "Start elsewhere, or search a larger region, ja.BasinHopping(unit=...)."
    return (
        f"no energy ever changed: it was {energy:.6g} in every chain at every record, wherever the "
        "parameters went. Let the energy depend on its first argument: one that reads a global or "
        "a closed-over copy in its place, that rounds to whole numbers, or that is flat around the "
        f"start does not. {farther if state.method.gradients else move_more(state.move)}"
    )


def _unmoved(state: State, begun: Begun, still: list[np.ndarray], accepted: float) -> list[str]:
    """Name what never moved in chains that accepted so many proposals together."""
    move, one = state.given_move, begun.params.with_leaves(leaf[0] for leaf in begun.params.leaves)
    free, passed = _free(move, one), _passed_through(move, one)
    whole, sizes = _moves_all(move), sum(part.size for part in still)
    names, scaled = [], False
    for number, (path, leaf, where) in enumerate(
        zip(begun.params.structure.paths(), one.leaves, still, strict=True)
    ):
        where = where & free[number]
        # A coarse parameter may well be back where it began, unless the move hands it through.
        if leaf.dtype not in (np.float32, np.float64) and not passed[number]:
            continue
        tries = accepted if whole else accepted / sizes  # of one entry
        tries *= where.size if np.all(where) else 1
        if not np.any(where) or tries < _ENOUGH:
            continue
        scaled |= not passed[number] and _is_scaled(move, one, number)
        names.append(path if np.all(where) else _entries(path, where))
    if not names:
        return []
    text = f"{' and '.join(names)} never moved, in {int(state.step):,} moves"
    if scaled:
        return [
            f"{text}: the steps are below the rounding of the values. Give each parameter steps of "
            "its own size by the move's scale=, a tree or array like params, or divide it by its "
            "typical size in the energy."
        ]
    return [
        f"{text}: the move returns what it is given. Let it change that too, or hold it on "
        "purpose: with None in ja.moves.PerLeaf, or in args=."
    ]


def _moves_all(move: Any) -> bool:
    """Return whether each step changes every coordinate."""
    if not isinstance(move, Perturbation) or move.coordinates is not None:
        return False
    return float(np.min(move.fraction)) == 1


def _entries(path: str, where: np.ndarray) -> str:
    """Return the names of entries of an array."""
    places = np.argwhere(where)
    shown = [f"{path}[{', '.join(map(str, place))}]" for place in places[:4]]
    return " and ".join(shown) + (f" and {len(places) - 4} more" if len(places) > 4 else "")


def _free(move: Any, one: Parameters) -> list[np.ndarray]:
    """Return which entries a user did not hold on purpose."""
    free = [np.ones(leaf.shape, bool) for leaf in one.leaves]
    for part, numbers, branch in parts_of(move, one):
        held: Any = [part is None] * len(numbers)
        if isinstance(part, Perturbation):
            held = [x == 0 for x in per_parameter("scale", part.scale, branch)]
        if isinstance(part, Perturbation | IntegerStep) and part.bounds is not None:
            ends = zip(held, *part._limits(branch), strict=True)
            held = [np.asarray(x) | np.asarray(low == high) for x, low, high in ends]
        for number, is_held in zip(numbers, held, strict=True):
            free[number] &= ~np.asarray(is_held)
    return free


def _is_scaled(move: Any, one: Parameters, number: int) -> bool:
    """Return whether a parameter is moved by steps of a scale."""
    places = [(part, numbers) for part, numbers, _ in parts_of(move, one)]
    return any(isinstance(part, Perturbation) for part, numbers in places if number in numbers)


def _passed_through(move: Any, one: Parameters) -> list[bool]:
    """Return of each parameter whether the move returns the very value that it is given."""

    def proposed(key: jax.Array, *leaves: jax.Array) -> tuple[jax.Array, ...]:
        proposal, _ = move.propose(key, one.with_leaves(leaves).tree, jnp.ones(()))
        return Parameters.of(proposal).leaves

    try:
        jaxpr = jax.make_jaxpr(proposed)(jax.random.key(0), *one.leaves).jaxpr
    except Exception:  # a user's move that was not saved, or that wants what it does not get here
        return [False] * len(one.leaves)
    pairs = zip(jaxpr.invars[1:], jaxpr.outvars, strict=True)
    return [given is returned for given, returned in pairs]


def factor_doubts(result: Any) -> list[str]:
    """Say so if a step size has come to the end of its range."""
    state = result.state.engine_state
    health, move = result.diagnostics, state.given_move
    if int(state.step) < _MOVES or target_of(move, result.params) is None:
        return []
    noun = "chain" if health.temperatures is None else "rung"
    logs = np.log(np.asarray(health.factor, np.float64))
    texts = []
    high = np.flatnonzero(logs >= LOG_LIMITS[1] - _AT)
    if high.size:
        far = _farthest(result)
        texts.append(
            f"the step-size factor of {named(noun, high)} stands at its upper limit, "
            f"{np.exp(LOG_LIMITS[1]):.2g}: however far a step leads, it is accepted, so the energy "
            f"is a plateau or falls without end, and parameters are as large as {far:.2g}. "
            f"{_hold(move)}"
        )
    low = np.flatnonzero(logs <= LOG_LIMITS[0] + _AT)
    if low.size and noun == "chain":
        texts.append(
            f"the step-size factor of {named(noun, low)} stands at its lower limit, "
            f"{np.exp(LOG_LIMITS[0]):.2g}: no step was small enough to be accepted as often as the "
            f"move's target. {much_less(move)}"
        )
    return texts


def _hold(move: Any) -> str:
    if not isinstance(move, Perturbation):
        return "Give its moves bounds=(lower, upper), or hold their scale, target_acceptance=None."
    held = code_of(move, target_acceptance=None)
    name = type(move).__name__
    return f"Give ja.moves.{name} bounds=(lower, upper), or hold its scale, move={held}."


def _farthest(result: Any) -> float:
    """Return the largest size of a floating parameter of any chain."""
    leaves = [x for x in result.chains._params.leaves if jnp.issubdtype(x.dtype, jnp.floating)]
    sizes = [np.max(np.abs(fetch(leaf).astype(np.float64))) for leaf in leaves if leaf.size]
    return float(np.max(sizes)) if sizes else 0.0
