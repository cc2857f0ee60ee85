"""The pages of the site: their code runs, their outputs are real, and no public name is missing."""

import contextlib
import io
import pathlib
import re
import runpy

import jax
import numpy as np
import pytest

import jaxanneal as ja

DOCS = pathlib.Path(ja.__file__).parent.parent / "docs"
PAGES = sorted(DOCS.glob("*.md"))
LONG = ["moves", "sampling", "sweeps", "when"]  # run with the slow tests
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.S | re.M)


def blocks(page):
    """Yield the code blocks of a page, each with the output shown right below it, or None."""
    for block in BLOCK.finditer(page):
        right_below = re.match(r"\s*```text\n(.*?)^```$", page[block.end() :], re.S | re.M)
        yield block[1], right_below and right_below[1]


def honest_page_law(page, name="page"):
    """Run all blocks of a page in one namespace, and compare what is shown with what is printed."""
    namespace = {"__name__": name}
    for code, shown in blocks(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, name, "exec"), namespace)
        if shown is not None:  # up to line breaks
            assert printed.getvalue().split() == shown.split(), code


def test_a_page_that_shows_a_wrong_output_or_code_that_raises_is_caught():
    honest_page_law("```python\nprint(1)\n```\n\n```text\n1\n```\n")
    with pytest.raises(AssertionError, match=r"print\(1\)"):
        honest_page_law("```python\nprint(1)\n```\n\n```text\n2\n```\n")
    with pytest.raises(NameError, match="later"):
        honest_page_law("```python\nlater\n```\n\n```python\nlater = 1\n```\n")


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] * (p.stem in LONG)) for p in PAGES],
)
def test_code_of_the_page_runs_and_prints_what_is_shown(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    # As readers have JAX, not with the strict promotion of these tests.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        honest_page_law(path.read_text(), path.name)


@pytest.mark.slow
def test_the_coldest_rung_of_the_figure_has_both_wells_in_proportion(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    with jax.numpy_dtype_promotion("standard"):
        made = runpy.run_path(str(DOCS / "figures" / "double_well.py"))
    right = (made["samples"].reshape(-1, 64) > 0).mean(axis=0)  # of each independent ladder
    error = right.std(ddof=1) / np.sqrt(len(right))
    assert error < 0.02  # all from the starting well would be 0.87 off
    # P(x > 0) by quadrature of exp(-E/T); 5.5 standard errors of 64 values: false alarms 1e-6.
    assert abs(right.mean() - 0.1251357) < 5.5 * error


def test_each_public_name_is_in_the_reference():
    text = "\n".join(path.read_text() for path in sorted((DOCS / "api").glob("*.rst")))
    shown = set(re.findall(r"^\.\. (?:auto\w+|py:data):: ([\w.]+)", text, flags=re.M))
    modules = {"jaxanneal": ja, "jaxanneal.moves": ja.moves, "jaxanneal.cooling": ja.cooling}
    public = {f"{module}.{name}" for module, it in modules.items() for name in it.__all__}
    assert public - shown == set()


def test_each_page_is_in_the_navigation():
    listed = set()
    for page in DOCS.rglob("*.md"):
        folder = page.parent.relative_to(DOCS)
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), flags=re.S | re.M):
            listed |= {(folder / name).as_posix() for name in re.findall(r"^[\w/-]+$", tree, re.M)}
    files = [p for p in DOCS.rglob("*") if p.suffix in (".md", ".rst") and not p.is_symlink()]
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in files}
    assert {name for name in pages if not name.startswith("notebooks/")} - listed == {"index"}
