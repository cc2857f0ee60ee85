"""Configuration of the site: `python -m sphinx -W --keep-going docs site/html` builds it.

Nothing is fetched, neither by the build nor by a reader's browser: formulas become MathML, which
browsers draw by themselves, and the theme brings its own fonts and scripts.
"""

import pathlib
import re
import sys

from docutils import nodes
from docutils.utils.math import latex2mathml

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the code beside these pages

project = "jaxanneal"
author = "The jaxanneal authors"
copyright = author
extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["**/.ipynb_checkpoints"]
nitpicky = True  # a reference that leads nowhere is a warning, and warnings are errors
if not any((ROOT / "notebooks").glob("*.ipynb")):  # then there is nothing to list
    exclude_patterns.append("notebooks.md")
    suppress_warnings = ["toc.not_readable"]

html_theme = "furo"
html_title = "jaxanneal"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks show the outputs that they were committed with

plot_formats = [("png", 160)]
plot_html_show_formats = False
plot_html_show_source_link = False

add_module_names = False
autodoc_typehints = "none"  # the docstrings say types, shapes and units
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Parts of our docstrings with text on the line of their name, which napoleon leaves alone.
_PART = re.compile(r"^(Maths|Batching|Args|Returns|Raises|Reference): (.+)$")
_EMPTY = re.compile(r"^(?:Args|Raises):\n    (?:None|Nothing)\b.*\n", flags=re.M)


def separate_parts(app, what, name, obj, options, lines):
    """Make each of these parts a paragraph under its name, and leave out what says nothing."""
    shown = []
    for line in lines:
        part = _PART.match(line)
        if part is None:
            shown.append(line)
        elif part[2].lower() not in ("none.", "nothing."):
            shown += ["", f"**{part[1]}:** {part[2]}"]
    text = _EMPTY.sub("", "\n".join(shown))
    # A leading dot also finds classes that users meet without a public path, such as History.
    lines[:] = text.replace(":class:`", ":class:`.").split("\n")


def mathml(node: nodes.Element, block: bool) -> str:
    """Return a formula as MathML, with real primes."""
    return latex2mathml.tex2mathml(node.astext(), block).replace("<mo>'</mo>", "<mo>\u2032</mo>")


def visit_math(self, node: nodes.math) -> None:
    """Write a formula in a line as MathML."""
    self.body.append(mathml(node, block=False))
    raise nodes.SkipNode


def visit_math_block(self, node: nodes.math_block) -> None:
    """Write a formula on its own line as MathML."""
    self.body.append(f'<div class="math">{mathml(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    """Connect the two."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", separate_parts, priority=400)  # before napoleon
