"""Every public name is documented in full, and the README's blocks run."""

import inspect
import pathlib
import re
import subprocess
import sys

import pytest

import jaxanneal as ja

ROOT = pathlib.Path(ja.__file__).parent.parent
PARTS = ("Maths:", "Batching:", "Args:", "Returns:", "Raises:", "Example:", ">>>", "Reference:")


def public():
    for module in (ja, ja.moves, ja.cooling):
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing) and thing is not ja.moves.Move:  # the protocol of own moves
                yield f"{module.__name__}.{name}", thing


@pytest.mark.parametrize("thing", [pytest.param(t, id=name) for name, t in public()])
def test_docstring_has_every_part_in_order(thing):
    text = inspect.getdoc(thing)
    places = [text.find(part) for part in PARTS]
    assert min(places) > 0, dict(zip(PARTS, places, strict=True))
    assert places == sorted(places)


def test_top_level_names_are_those_of_the_contract_and_no_more():
    names = {name for name in vars(ja) if not name.startswith("_")}
    assert names | {"__version__"} == set(ja.__all__)


def test_readme_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert blocks
    for block in blocks:
        subprocess.run([sys.executable, "-c", block], check=True, cwd=ROOT, timeout=300)
