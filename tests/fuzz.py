"""What must come of any call: a refusal before it compiles, or a result that keeps its laws.

``python tests/fuzz.py 17 19`` shows what comes of the calls 17 and 18 of ``odd_calls.py``.
"""

import contextlib
import os
import re
import sys
import warnings

import jax
import numpy as np
import wording
from odd_calls import FLAT, FOLDER, drawn, energy, valued

import jaxanneal as ja

# What is known only once the program has run.
_LATER = re.compile(
    r"finite energy in at least one chain|^params.*: expected values in |^method\.temperatures|"
    r"a callback that returns|^callback"
)
_PARTS = re.compile(r"^.+: expected .+, got .*\. .+[.)\w]$", re.DOTALL)


@contextlib.contextmanager
def compilations():
    """Collect what is compiled ahead of time."""
    honest, compiled = jax.stages.Lowered.compile, []

    def compile_it(self, *inputs, **settings):
        compiled.append(self)
        return honest(self, *inputs, **settings)

    jax.stages.Lowered.compile = compile_it
    try:
        yield compiled
    finally:
        jax.stages.Lowered.compile = honest


def outcome(case):
    """Return what comes of a case, and what is wrong with that: an empty text if nothing is."""
    given, function = case.values(), valued(case.function)
    before = os.getcwd()
    os.chdir(FOLDER)
    with warnings.catch_warnings(record=True) as warned, compilations() as compiled:
        warnings.simplefilter("always")
        wording.TEXTS.clear()
        try:
            returned = function(**given)
        except Exception as error:
            return error, refusal_fault(error, bool(compiled)) or words_fault()
        finally:
            os.chdir(before)
    strange = [w for w in warned if str(w.message) not in wording.TEXTS]
    if strange:
        return returned, f"warns of {strange[0].category.__name__}: {strange[0].message}"
    return returned, words_fault() or result_fault(case, given, returned)


def words_fault():
    wrong = wording.foreign_texts()
    return f"has words of ours: {wrong}" if wrong else ""


def refusal_fault(error, compiled):
    """Return what is wrong with an error."""
    text, notes = str(error), getattr(error, "__notes__", [])
    if isinstance(error, OSError):  # as `open` raises them
        return ""
    if any(note in wording.TEXTS for note in notes):  # the user's function raised it
        return ""
    if not any(made in text for made in wording.TEXTS):
        return f"is a raw {type(error).__name__}: {text[:300]}"
    if not _PARTS.match(text):
        return f"is no refusal of four parts: {text[:300]}"
    if len(text) > 1500:
        return f"is too long: {len(text)}"
    if compiled and not _LATER.search(text):
        return f"comes after a compilation: {text[:300]}"
    return ""


def result_fault(case, given, result):
    """Return the first law that a result breaks."""
    if not isinstance(result, ja.Result) or case.function == "ja.Result.load":
        return ""
    own, args = given.get("energy", energy), given.get("args") or ()
    again = float(np.asarray(own(result.params, *args), np.float64))
    if not np.isfinite(result.energy) or not _close(again, result.energy):
        return f"has the energy {result.energy}, its state {again}"
    if not _close(np.min(result.chains.best_energy), result.energy):
        return "has a better chain"
    arrays = [x for x in jax.tree.leaves(result.params) if isinstance(x, jax.Array)]
    if not all(np.all(np.isfinite(x.astype(float))) for x in arrays):
        return "has a state that is not finite"
    faults = (f(case, given, result) for f in (count_fault, box_fault, start_fault))
    return next((fault for fault in faults if fault), "")


def _close(a, b):
    return np.allclose(a, b, rtol=1e-5, atol=1e-30)


def count_fault(case, given, result):
    if case.function in ("ja.polish", "resumed"):
        return ""
    chains, steps = result.chains.energy.shape[0], given.get("steps", 12)
    if result.stop_reason is ja.StopReason.STEPS and result.steps != steps:
        return f"made {result.steps} steps of {steps}"
    free = case.settings.get("method") == "None" or case.settings.get("cooling") == "None"
    free |= case.settings.get("temperatures") == "None"
    if not free and result.evaluations != chains * (1 + result.steps):
        return f"counts {result.evaluations} evaluations of {result.steps} steps, {chains} chains"
    rates = np.asarray(result.diagnostics.acceptance_rate)
    if not np.all(np.isnan(rates) | ((rates >= 0) & (rates <= 1))):
        return f"has acceptance rates {rates}"
    if not free and result.history.step[-1] != result.steps:
        return "has another last record"
    return ""


# What the bounds mean that are taken, for parameters of shape [2].
_BOXES = {
    "(-2.0, None)": (-2, np.inf),
    "[(-2, 2), (-1, 1)]": ([-2, -1], [2, 1]),
    "((-2, -1), (2, 1))": ([-2, -1], [2, 1]),
    "np.array([[-2, 2], [-1, 1]])": ([-2, 2], [-1, 1]),
    "(FLAT - 1, FLAT + 1)": (FLAT - 1, FLAT + 1),
    "[(None, 2), (-2, None)]": ([-np.inf, -2], [2, np.inf]),
    "(-2, 2)": (-2, 2),
}
_OPEN = ("None", "(None, None)", "(-1e300, 1e300)", "(-2 ** 70, 2 ** 70)", "(-3e38, 3e38)")
_OPEN += ('(-float("inf"), float("inf"))',)


def box_fault(case, given, result):
    """Return where a chain was outside of its bounds; all others that are taken are [-2, 2]."""
    bounds = case.settings.get("bounds", "(-2, 2)" if case.settings.get("move") == "HELD" else None)
    if bounds is None or bounds in _OPEN or not isinstance(result.params, jax.Array):
        return ""
    low, high = (np.asarray(x, np.float64) for x in _BOXES.get(bounds, (-2, 2)))
    seen = np.concatenate([result.chains.params, result.chains.best_params]).astype(np.float64)
    return f"is outside: {seen}" if np.any((seen < low) | (seen > high)) else ""


def start_fault(case, given, result):
    """Return how a result differs from its start in structure or dtypes, or is worse."""
    params = given.get("params", given.get("params_or_result", FLAT))
    elsewhere = case.function in ("resumed", "stepped", "per_leaf")
    if elsewhere or callable(params) or not jax.tree_util.all_leaves(jax.tree.leaves(params)):
        return ""
    if isinstance(params, ja.Result) or type(params) is type(ja.stacked(FLAT)):
        return ""
    if jax.tree.structure(params) != jax.tree.structure(result.params):
        return "has another structure"
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(result.params), strict=True)
    kinds = [(x.dtype.newbyteorder("="), y.dtype) for x, y in pairs if isinstance(x, np.ndarray)]
    if any(jax.dtypes.canonicalize_dtype(x) != y for x, y in kinds if x != np.longdouble):
        return f"has other dtypes: {kinds}"
    own, args = given.get("energy", energy), given.get("args") or ()
    first = float(np.asarray(own(params, *args), np.float64))
    worse = np.isfinite(first) and result.energy > first + 1e-5 * abs(first)
    return f"is worse than its start: {result.energy} of {first}" if worse else ""


if __name__ == "__main__":
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    wording.record_texts()
    for number in range(*map(int, sys.argv[1:])):
        case = drawn(number)
        print(number, case, flush=True, end=" ")
        returned, wrong = outcome(case)
        said = repr(returned) if isinstance(returned, Exception) else type(returned).__name__
        print("FAULT" if wrong else "ok", "->", wrong or said, flush=True)
