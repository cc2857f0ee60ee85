"""One move for each part of a mixed tree, and the natural move of a dtype."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain import keys
from jaxanneal._chain.calls import describe
from jaxanneal._chain.factors import (
    Choice,
    Factors,
    chosen_of,
    given_to,
    part_count,
    row_counts,
    shares_factors,
)
from jaxanneal._chain.move import (
    Move,
    as_move,
    check_of,
    is_mixed,
    largest_factor_of,
    proposal_of,
    target_of,
)
from jaxanneal._chain.own_move import as_given
from jaxanneal._chain.parameters import Parameters, Structure
from jaxanneal._chain.prefix import branches
from jaxanneal._checks import refusal, shown
from jaxanneal._pytree import path_text, pytree_dataclass
from jaxanneal._settings import known_settings
from jaxanneal.moves._continuous import StudentT
from jaxanneal.moves._discrete import Flip
from jaxanneal.moves._mixture import Mixture
from jaxanneal.moves._perturbation import Perturbation


@jax.tree_util.register_static
class _Frozen:
    """Stands where ``None`` was given, which JAX would take for an empty branch."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen)

    def __hash__(self) -> int:
        return hash(_Frozen)

    def __repr__(self) -> str:
        return "None"


@known_settings
@pytree_dataclass
class PerLeaf:
    r"""Give each part of a mixed tree a move of its own; all of them act in the same step.

    Maths: the proposals are independent, so the log Hastings terms add up.
    Batching: one chain; the engine batches it.

    Args:
        moves: A pytree prefix of params whose leaves are moves, symmetric functions
            ``(key, params) -> params``, or ``None``, which freezes its branch.

    Returns:
        A move. Its factor adapts to the lowest target acceptance rate of its parts, times the rate
        at which the parts without a target alone are accepted: these keep their own steps.

    Raises:
        TypeError: A leaf is neither a move, a function nor ``None``.
        ValueError: ``moves`` is no prefix of params, or freezes everything.

    Example:
        >>> import jaxanneal as ja
        >>> move = ja.moves.PerLeaf({"w": ja.moves.Gaussian(), "s": ja.moves.Flip(), "c": None})
        >>> params = {"w": jnp.zeros(2), "s": jnp.zeros(3, bool), "c": jnp.ones(1)}
        >>> new, _ = move.propose(jax.random.key(0), params, 1.0)
        >>> int(new["s"].sum()), float(new["c"][0])
        (1, 1.0)

    Reference: Hastings, Biometrika 57, 97 (1970), section 2.4.
    """

    moves: Any

    def __init__(self, moves: Any):
        tree = jax.tree_util.tree_map_with_path(_part, moves, is_leaf=_is_part)
        parts = jax.tree.leaves(tree, is_leaf=_is_part)
        if all(isinstance(part, _Frozen) for part in parts):
            remedy = "Leave at least one branch to move."
            raise ValueError(refusal("PerLeaf", "at least one move", shown(moves), remedy))
        vars(self).update(moves=tree)

    @property
    def shares_factors(self) -> bool:
        """Whether a part has several factors, which chains then share."""
        return any(map(shares_factors, jax.tree.leaves(self.moves, is_leaf=_is_part)))

    def propose(self, key: jax.Array, params: Any, factor: Any) -> tuple[Any, jax.Array]:
        """Return the proposal of all parts together; the key is consumed."""
        key, total = keys.as_key(key), jnp.zeros(())
        own_factors = self._own(factor, params) if isinstance(factor, Factors) else {}

        def act(index: int, move: Any, branch: Any) -> Any:
            nonlocal total
            own = 1.0 if target_of(move, branch) is None else own_factors.get(index, factor)
            new, log_hastings = proposal_of(jax.random.fold_in(key, index), branch, move, own)
            total = total + log_hastings.astype(total.dtype)
            return new

        return self._over_branches(act, Parameters.of(params).tree), total

    def part_count(self, params: Any) -> int:
        """Return the number of parts that have a factor each."""
        counts = []
        self._over_branches(lambda _, move, part: counts.append(part_count(move, part)), params)
        return sum(counts)

    def chosen(self, choice: jax.Array, params: Any) -> Choice:
        """Return what a step by the factors of a mixture moves."""
        rows, choices = self._first_rows(params), []

        def act(index: int, move: Any, branch: Any) -> None:
            own = chosen_of(move, jax.random.fold_in(choice, index), branch)
            row = jnp.where(own.row >= 0, own.row + rows[index], -1)
            choices.append(own._replace(row=row))

        self._over_branches(act, params)
        targets = jnp.stack([own.target for own in choices])
        adapts = ~jnp.isnan(targets)
        mixed = jnp.any(adapts) & ~jnp.all(adapts)
        return Choice(
            jnp.concatenate([own.parts for own in choices]),
            choices[0].row if len(choices) == 1 else jnp.int32(-1),
            jnp.where(jnp.any(adapts), jnp.nanmin(targets), jnp.nan),
            jnp.any(jnp.stack([mixed, *[own.mixed for own in choices]])),
        )

    def _own(self, factors: Factors, params: Any) -> dict[int, Any]:
        """Return what each part gets of the factors, by its number."""
        rows, own, first = self._first_rows(params), {}, 0

        def act(index: int, move: Any, branch: Any) -> None:
            nonlocal first
            last = first + part_count(move, branch)
            choice = jax.random.fold_in(factors.choice, index)
            count = sum(row_counts(Parameters.of(branch)))
            mine = factors.rows[rows[index] : rows[index] + count]
            own[index] = given_to(move, Factors(choice, mine, factors.parts[first:last]))
            first = last

        self._over_branches(act, params)
        return own

    def _first_rows(self, params: Any) -> list[int]:
        """Return the number of the first row of each branch in the whole tree."""
        counts = [sum(row_counts(Parameters.of(branch))) for _, branch in self._branches(params)[1]]
        return [0, *itertools.accumulate(counts)]

    def target(self, params: Any) -> Any:
        """Return the lowest target of the parts, or ``None`` where none adapts."""
        known = [jnp.asarray(target) for target in self._targets(params) if target is not None]
        return jnp.min(jnp.stack(known)) if known else None

    def mixed(self, params: Any) -> bool:
        """Return whether one part adapts, and another has a step that no factor changes."""
        targets, nested = self._targets(params), []
        act = lambda _, move, branch: nested.append(is_mixed(move, branch))  # noqa: E731
        self._over_branches(act, params)
        held = [target is None for target in targets]
        return any(nested) or (any(held) and not all(held))

    def largest_factor(self, params: Any) -> jax.Array:
        """Return the factor beyond which no part makes a wider step."""
        factors = [jnp.zeros((), float)]

        def act(_: int, move: Any, branch: Any) -> None:
            if target_of(move, branch) is not None:
                factors.append(largest_factor_of(move, branch))

        self._over_branches(act, params)
        return jnp.max(jnp.stack(factors))

    def check(self, params: Any) -> None:
        """Let each part check its branch; what it refuses is named by its path in the tree."""
        paths = jax.tree_util.tree_flatten_with_path(self.moves, is_leaf=_is_part)[0]

        def check_part(index: int, move: Any, branch: Any) -> None:
            try:
                check_of(move, branch)
            except (TypeError, ValueError) as error:
                where = "params" + path_text(paths[index][0])
                raise type(error)(str(error).replace("params", where, 1)) from None

        self._over_branches(check_part, params)

    def _targets(self, params: Any) -> list[Any]:
        """Return the target of each part that moves, ``None`` for one that does not adapt."""
        targets = []
        self._over_branches(lambda _, move, branch: targets.append(target_of(move, branch)), params)
        return targets

    def _over_branches(self, act: Callable[[int, Any, Any], Any], params: Any) -> Any:
        """Return the tree of what ``act`` makes of each branch that is not held fixed."""
        treedef, places = self._branches(params)
        return treedef.unflatten(
            branch if isinstance(move, _Frozen) or _is_fixed(branch) else act(index, move, branch)
            for index, (move, branch) in enumerate(places)
        )

    def _branches(self, params: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """Return how the tree is made of its branches, and each with its move."""
        remedy = "Give each branch of params a move, or None to freeze it."
        places = branches("PerLeaf", self.moves, params, remedy, _is_part)
        return jax.tree.structure(self.moves, is_leaf=_is_part), places


def parts_of(move: Any, one: Parameters) -> list[tuple[Any, list[int], Parameters]]:
    """Return the moves of which a move is made: what each moves, and the branch that holds it.

    Args:
        move: A move, of ``PerLeaf`` its parts.
        one: The parameters of one chain.

    Returns:
        Of each part: the move, ``None`` where the user freezes the branch, or where it is not
        known because no file can hold it; the numbers of its
        parameters; and these as its own tree.
    """
    structure = one.structure
    marked = Structure(structure.treedef, tuple((index, -1) for index, _ in structure.fixed))
    return _parts(as_given(move), marked.combine(tuple(range(len(one.leaves)))), one)


def _parts(move: Any, branch: Any, one: Parameters) -> list[tuple[Any, list[int], Parameters]]:
    """Go down a branch of the tree that holds the numbers of parameters as leaves."""
    if isinstance(move, PerLeaf):
        places = move._branches(branch)[1]
        return [each for part, below in places for each in _parts(part, below, one)]
    if isinstance(move, Mixture):
        every = [each for part in move.moves for each in _parts(part, branch, one)]
        moved = {number for part, numbers, _ in every if part is not None for number in numbers}
        # Frozen is what no part of it moves.
        return [each for each in every if each[0] is not None or not moved & {*each[1]}]
    marks, treedef = jax.tree.flatten(branch)
    numbers = [mark for mark in marks if mark >= 0]
    held = tuple((place, None) for place, mark in enumerate(marks) if mark < 0)
    own = Parameters(tuple(one.leaves[number] for number in numbers), Structure(treedef, held))
    return [(move if isinstance(move, Move) else None, numbers, own)]


def _is_fixed(branch: Any) -> bool:
    """Return whether a branch has no arrays: whatever else was a parameter is one by now."""
    leaves = jax.tree.leaves(branch)
    return not any(isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in leaves)


def _is_part(node: Any) -> bool:
    return node is None or isinstance(node, _Frozen | Move)


def _part(where: Any, part: Any) -> Any:
    if part is None or isinstance(part, _Frozen):
        return _Frozen()
    try:
        return as_move(part)
    except TypeError:
        path = f"PerLeaf{path_text(where)}"
        expected = "a move, a symmetric function (key, params) -> params, or None"
        remedy = "Write for example {'w': ja.moves.Gaussian(), 's': ja.moves.Flip()}."
        raise TypeError(refusal(path, expected, shown(part), remedy)) from None


def adapting_scales(move: Any) -> np.ndarray:
    """Return those scales of a move that its adapted factor multiplies, float ``[...]``."""
    if isinstance(move, PerLeaf | Mixture):
        parts = jax.tree.leaves(move.moves, is_leaf=_is_part)
        return np.concatenate([adapting_scales(part) for part in parts])
    if not isinstance(move, Perturbation) or move.target_acceptance is None:
        return np.zeros(0)
    return np.concatenate([np.ravel(scale) for scale in jax.tree.leaves(move.scale)])


def natural_move(params: Any) -> Move:
    """Return the move that suits the dtypes of ``params``.

    Raises:
        TypeError: A leaf has no natural move, such as an integer, whose bounds are not known.
    """
    parameters = Parameters.of(params)
    kinds: list[Any] = []
    for path, leaf in zip(parameters.structure.paths(), parameters.leaves, strict=True):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            kinds.append(StudentT())
        elif leaf.dtype == jnp.bool_:
            kinds.append(Flip())
        elif leaf.size == 0:
            kinds.append(None)
        else:
            expected = "a floating or bool leaf, which has a natural move"
            remedy = "Pass move=ja.moves.IntegerStep(bounds=(lower, upper)), in PerLeaf if mixed."
            raise TypeError(refusal(path, expected, describe(leaf), remedy))
    if len({type(kind) for kind in kinds}) == 1:
        return kinds[0]
    # Fixed leaves stay where they are: a move of theirs would have nothing to move.
    merged = list(kinds)
    for index, _ in parameters.structure.fixed:
        merged.insert(index, None)
    return PerLeaf(jax.tree.unflatten(parameters.structure.treedef, merged))
