"""What a run returns."""

import copy
import dataclasses
import os
from typing import Any, Generic, TypeVar

from jaxanneal._chain.chain import Chain
from jaxanneal._diagnostics.check import require_trust
from jaxanneal._diagnostics.diagnostics import Diagnostics
from jaxanneal._engine.history import History
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._plots import figure
from jaxanneal._result import document
from jaxanneal._result.distinct import best_states
from jaxanneal._result.searches import Search, scipy_result
from jaxanneal._result.summary import as_html, as_text
from jaxanneal._result.xarray import Exports
from jaxanneal.moves._box import Box

Params = TypeVar("Params")


@dataclasses.dataclass(frozen=True, eq=False)
class Result(Exports, Generic[Params]):
    r"""Hold the best state that any chain ever saw, and everything else about a run.

    Maths: ``params`` is :math:`\arg\min E` over all proposals of all chains, calibration included.
    Batching: ``chains`` has a leading axis of chains (in parallel tempering by ladder, then rung).

    Args:
        params: The best state, the user's tree.
        energy: Its energy, float.
        chains: Every chain: ``params``, ``energy``, ``best_params``, ``best_energy``.
        history: Records of this call.
        diagnostics: Acceptance rates, step-size factors, non-finite counts, swap rates.
        stop_reason: Why the run stopped.
        steps: Moves per chain, earlier calls included.
        evaluations: Energy evaluations, start, calibration, padding of blocks and earlier calls
            included.
        gradients: Gradient evaluations.
        seconds: Wall clock of this call without compilation.
        compile_seconds: Wall clock of tracing and compilation in this call, and of what comes
            before its first move and after its last.
        state: To go on from: ``ja.anneal(energy, state=result.state, ...)``.
        fixed: Leaves of the tree that were held fixed, a count.
        searches: What each search of :func:`minimize` did; empty of any other result.
        box: Of a polished result, the bounds that it kept and the leaves that it left alone, for
            :func:`polish` to keep them again; ``None`` for a run, whose move has them.

    Returns:
        A frozen object with these attributes.

    Raises:
        Nothing.

    Example:
        >>> import jaxanneal as ja
        >>> result = ja.anneal(lambda p: (p["x"] - 2.0) ** 2, {"x": 0.0}, key=0, steps=1000)
        >>> round(float(result.params["x"]), 1), result.steps
        (2.0, 1000)

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """

    params: Params
    energy: float
    chains: Chain
    history: History
    diagnostics: Diagnostics
    stop_reason: StopReason
    steps: int
    evaluations: int
    gradients: int
    seconds: float
    compile_seconds: float
    state: Any
    fixed: int = 0
    box: Box | None = None
    searches: tuple[Search, ...] = ()

    def top(self, k: int) -> Params:
        """Return the k best distinct states, the best first.

        Maths: the best states of the chains by rising energy; of equal states one is kept.
        Batching: every leaf is ``[k, ...]``, fit for ``jax.vmap`` and ``ja.stacked``.

        Args:
            k: How many states, >= 1.

        Returns: The user's tree, stacked; fewer than k where fewer states are distinct.

        Raises:
            TypeError: ``k`` is no integer.
            ValueError: ``k`` < 1.

        Example:
            >>> import jaxanneal as ja
            >>> result = ja.anneal(lambda p: p["x"] ** 2, {"x": 1.0}, key=0, steps=100)
            >>> result.top(3)["x"].shape
            (3,)

        Reference: none.
        """
        return best_states(self.chains, k)

    def check(self) -> "Result[Params]":
        """Raise if the run is not to be trusted, and warn where it is doubtful.

        Maths: stuck is a chain that never moved; a ladder is broken where no swap was accepted, and
        coarse with fewer than 1.75 pairs per unit of the barrier, not settled where the split
        R-hat at its coldest rung is above 1.1 over 100 records or more; a temperature is lost in
        rounding below 8 units in the last place of the energy. Chains agree where their best
        energies are as near as the energy wanders, or still falls, in the last tenth of the run;
        k of n that do so are too few where another run would miss them,
        :math:`(1 - k/n)^n > 0.05`.
        Batching: all chains; those that failed are named.

        Args: none.
        Returns: The result itself, so that ``ja.anneal(...).check()`` can be written.

        Raises:
            RuntimeError: Chains are stuck or have no finite energy, or the ladder is broken; with
                the remedy.

        Example:
            >>> import jaxanneal as ja
            >>> ja.anneal(lambda x: x**2, 1.0, key=0, steps=500).check().steps
            500

        Reference: Syed et al., J. R. Stat. Soc. B 84, 321 (2022), for the number of rungs; Vehtari
        et al., Bayesian Analysis 16, 667 (2021), for R-hat.
        """
        require_trust(self)
        return self

    def summary(self) -> str:
        """Return a readable table of the run.

        Maths: a state is seen where the best energy last fell, to within 64 moves.
        Batching: ranges and medians over chains, rungs or pairs.

        Args: none.
        Returns: Aligned lines of text; a notebook shows the same as a table.
        Raises: nothing.

        Example:
            >>> import jaxanneal as ja
            >>> print(ja.anneal(lambda x: x**2, 0.5, key=0, steps=64).summary().splitlines()[2])
            chains                64

        Reference: none.
        """
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one file, without pickle, from which :meth:`load` makes it again.

        The file is a zip of ``.npy`` arrays and a JSON header. Functions are left out (the energy,
        schedules and moves of your own), and of ``args`` there is a digest. A crash while writing
        leaves a file of that name as it was.

        Maths: every array keeps its bits and its dtype.
        Batching: all chains.

        Args:
            path: Where to, used as it is.

        Returns: Nothing.
        Raises: OSError: The file cannot be written.

        Example:
            >>> import tempfile
            >>> import jaxanneal as ja
            >>> energy = lambda x: (x - 1.0) ** 2
            >>> first = ja.anneal(energy, 0.0, key=0, steps=100)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     first.save(f"{folder}/run.jaxanneal")
            ...     loaded = ja.Result.load(f"{folder}/run.jaxanneal")
            >>> ja.anneal(energy, state=loaded.state, steps=100).steps
            200

        Reference: none.
        """
        document.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], like: Any = None) -> "Result[Any]":
        """Return the result that :meth:`save` wrote; its ``state`` goes on as if never saved.

        To go on, pass the energy of the run, and a ``method`` or ``move`` again if a function of
        yours was in it. Other ``args`` than the run's are noticed, and so is an energy that has
        other values at the current or best states of the chains: as without a file, all
        energies are then evaluated again before the first move.

        Maths: n steps, save, load and m steps are n + m steps, bit for bit.
        Batching: all chains.

        Args:
            path: The file.
            like: One chain's parameters of the same structure, such as the ``params`` of the run.
                Dicts, lists and tuples of arrays need none; dataclasses, named tuples, modules and
                held-fixed functions do. What ``observe`` returned comes back with dicts in place of
                such nodes.

        Returns: The result.

        Raises:
            ValueError: The file is another one, damaged or too new; ``like`` is needed or unlike
                what was saved; or ``jax_enable_x64`` is off for a run that needs it.

        Example:
            >>> import jaxanneal as ja
            >>> ja.Result.load("missing.jaxanneal")  # doctest: +ELLIPSIS
            Traceback (most recent call last):
            FileNotFoundError: ...

        Reference: none.
        """
        return cls(**document.load(path, like))

    def __getstate__(self) -> dict[str, Any]:
        return document.without_functions(self)

    def __setstate__(self, fields: dict[str, Any]) -> None:
        vars(self).update(fields | {"params": fields["params"].tree})

    def __copy__(self) -> "Result[Params]":
        return dataclasses.replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Result[Params]":
        return type(self)(**{name: copy.deepcopy(x, memo) for name, x in vars(self).items()})

    def to_scipy(self) -> Any:
        """Return the result as SciPy's optimisers do.

        Maths: none.
        Batching: the best state alone.

        Args: none.
        Returns: A ``scipy.optimize.OptimizeResult`` with ``x`` (an array where the parameters are
            one array or number, otherwise the user's tree), ``fun``, ``success`` (whether the run
            ended by itself: not by a budget, a callback or an interruption), ``message``, ``nit``,
            ``nfev`` and ``njev``.
        Raises: ImportError: scipy is missing.

        Example:
            >>> import jaxanneal as ja
            >>> ja.anneal(lambda x: x**2, 1.0, key=0, steps=100).to_scipy().nit
            100

        Reference: Virtanen et al., Nature Methods 17, 261 (2020).
        """
        return scipy_result(self)

    def plot(self) -> Any:
        """Draw energy, temperature and acceptance over the steps, or the health of a ladder.

        Maths: many chains are drawn as their median, the middle half and the whole range; a ladder
        as its energies, temperatures, index process, swap rates, overlap of neighbours, barrier,
        heat capacity and exploration. Above them stands how far the chains agree, and what
        :meth:`check` says.
        Batching: all chains.

        Args: none.
        Returns: A ``matplotlib.figure.Figure``, which a notebook shows and ``savefig`` saves.
        Raises: ImportError: matplotlib is missing.

        Example:
            >>> import jaxanneal as ja
            >>> figure = ja.anneal(lambda x: x**2, 1.0, key=0, steps=100).plot()
            >>> len(figure.axes)
            3

        Reference: none.
        """
        return figure.figure(self)
