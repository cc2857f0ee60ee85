"""Faults that the fuzz of calls found, each of which ended in an error of JAX, NumPy or Python."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fuzz import outcome
from odd_calls import changed

import jaxanneal as ja

# What was called, and what the refusal says.
REFUSED = [
    (changed("ja.anneal", energy="lambda p: 2**70"), "energy: expected one real scalar"),
    (changed("ja.anneal", energy="lambda p: jax.random.key(0)"), "A key is no number"),
    (changed("per_leaf", moves="Returning((FLAT, 'x'))"), "move: log_hastings: expected one real"),
    (
        changed("per_leaf", moves="Returning(None)"),
        "move: propose: expected (params, log_hastings)",
    ),
    (changed("ja.anneal", move="Told(target=lambda p: 'x')"), "move: target: expected one real"),
    (changed("ja.anneal", move="Told(target=lambda p: 2.0)"), "a number between 0 and 1, got 2.0"),
    (changed("ja.anneal", move="Told(target=0.3)"), "Write it as def target(self, params)"),
    (
        changed("ja.anneal", move="Told(largest_factor=lambda p: jnp.ones(2))"),
        "move: largest_factor: expected one real scalar, got float32[2]",
    ),
    (
        changed("ja.anneal", move="Told(target=lambda p: 0.3, mixed=lambda p: jnp.ones(2))"),
        "move: mixed: expected True or False, got float32[2]",
    ),
    (changed("ja.anneal", method="Cooler(temperatures=lambda s: 2**70)"), "method.temperatures: "),
    (changed("ja.anneal", method="Cooler(exchange=lambda k, s, e: 'x')"), "method.exchange: "),
    (changed("ja.anneal", params="lambda key: 'x'"), "params: expected at least one parameter"),
    (changed("ja.anneal", params="np.ma.masked_array(FLAT, [True, False])"), "without a mask"),
    (changed("ja.anneal", params="HELD"), "got an object of the library, Gaussian"),
    (changed("ja.anneal", params="CHAIN"), "of a chain or a result its params"),
    (changed("ja.polish", params_or_result="CHAIN"), "of a chain or a result its params"),
    (changed("ja.init_chain", params="ja.stacked(FLAT)"), "an object of the library, ja.stacked"),
    (changed("ja.sweep", block="np.array([2])"), "block: expected an integer >= 1, got array([2])"),
    (changed("ja.sweep", repeats="2**70"), "repeats: expected an integer <= 2147483647"),
    (changed("annealed", chains="2**70"), "chains: expected an integer <= 2147483647"),
    (changed("tempered", rungs="np.array([])"), "rungs: expected an integer >= 2, got array([]"),
    (changed("ja.cooling.Linear", steps="np.array([])"), "Linear.steps: expected a number >= 1"),
    (changed("ja.polish", steps="2**70"), "steps: expected less than 2147483647"),
    (
        changed("ja.polish", optimizer="optimizer(update=lambda u, s, p=None: (None, s))"),
        "optimizer: update: updates: expected (float32[2],), got None",
    ),
    (
        changed("ja.polish", optimizer="optimizer(update=lambda u, s, p=None: None)"),
        "optimizer: update: expected (updates, state), got None",
    ),
    (changed("rounds", args="(np.array(['a']),)"), "args[0]: expected numbers that JAX holds"),
    (changed("ja.accept", delta_energy="'1'"), "delta_energy: expected a real number, got str"),
    (changed("ja.annealing_step", factor="float('nan')"), "factor: expected a finite number >= 0"),
    (changed("DONE.save", path="1"), "Result.save: path: expected a path, got 1"),
    (changed("DONE.save", path="''"), "Result.save: path: expected a path, got an empty text"),
    (changed("ja.Result.load", path="'\\0'"), "Leave out the zero character"),
]


@pytest.mark.parametrize(("case", "text"), REFUSED, ids=lambda x: str(x)[:60])
def test_an_odd_call_is_refused_in_words(case, text):
    error, fault = outcome(case)
    assert not fault
    assert re.search(re.escape(text), str(error))


@pytest.mark.parametrize("answer", ['"x"', "0", "[]", "np.array([True, False])"])
def test_a_callback_answers_yes_or_no(answer):
    error, fault = outcome(changed("ja.anneal", callback=f"lambda p: {answer}"))
    assert not fault
    assert "callback: expected True, False or None" in str(error)


@pytest.mark.parametrize("seed", [np.array(5), jnp.array(5), np.array(5, np.int8)])
def test_a_seed_may_be_an_array_of_no_axes(seed):
    """As of ``for seed in jnp.arange(5)``."""
    drawn = [ja.accept(key, 1.0, 1.0) for key in (seed, 5)]
    words = [jax.random.key_data(ja._chain.keys.as_key(key)) for key in (seed, 5)]
    assert drawn[0] == drawn[1]
    np.testing.assert_array_equal(*words)


def test_an_array_without_masked_entries_is_an_array():
    chain = ja.init_chain(np.ma.masked_array(np.ones(2, np.float32)), energy=jnp.sum)
    assert float(chain.energy) == 2.0
