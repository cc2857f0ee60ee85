"""The structure of the library as its imports tell it: ``python tests/rooms.py`` prints it.

The rooms stand from the top down: a file imports from its own room or from rooms below it.
"""

import ast
import functools
import graphlib
import pathlib
import sys

import jaxanneal as ja

ROOT = pathlib.Path(ja.__file__).parent

ROOMS = [
    "__main__",
    "_demo",
    "",  # jaxanneal itself: what a user may rely on
    "_sweep",
    "_polish",
    "_run",
    "_result",
    "_plots",
    "_diagnostics",
    "_files",
    "_engine",
    "_methods",
    "_methods.ladder",
    "moves",
    "cooling",
    "_chain",
    "_tracing",
    "_checks",
    "_pytree",
    "_warn",
    "_version",
]


@functools.cache
def files():
    """Return the file of each module by its dotted name within the library."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


@functools.cache
def tree(name):
    """Return the syntax tree of a module."""
    return ast.parse(files()[name].read_text())


@functools.cache
def imports(name):
    """Return what a module imports of the library, wherever in the file an import stands."""
    found = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {module(n) for n in names if n.split(".")[0] == "jaxanneal"}
    return found - {name}


def module(dotted):
    """Return the module that a dotted name lives in."""
    name = dotted.removeprefix("jaxanneal").removeprefix(".")
    while name not in files():
        name = name.rpartition(".")[0]
    return name


def room(name):
    """Return the room that a module stands in."""
    while name not in ROOMS:
        name = name.rpartition(".")[0]
    return name


def upwards():
    """Return the imports that lead from a room to one above it."""
    return [
        f"{name} imports {other}"
        for name in files()
        for other in sorted(imports(name))
        if ROOMS.index(room(other)) < ROOMS.index(room(name))
    ]


def longest_chain():
    """Return the longest chain of imports, from the top down.

    Raises:
        graphlib.CycleError: Imports go in a circle.
    """
    chains = {}
    for name in graphlib.TopologicalSorter(
        {name: imports(name) for name in files()}
    ).static_order():
        chains[name] = (name, *max((chains[other] for other in imports(name)), key=len, default=()))
    return max(chains.values(), key=len)


def long_functions(most):
    """Return the functions of more lines of code than ``most``, docstrings apart."""
    found = {}
    for name in files():
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                doc = ast.get_docstring(node)
                lines = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
                if lines > most:
                    found[f"{name}.{node.name}"] = lines
    return found


def lines(name):
    """Return the number of lines of a module."""
    return files()[name].read_text().count("\n")


def frames_to_energy():
    """Return the files and functions between the caller of ``anneal`` and the user's energy."""
    deepest = []

    def energy(x):
        frame, found = sys._getframe(1), []
        while frame is not None:
            path = pathlib.Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT):
                found.append((str(path.relative_to(ROOT)), frame.f_code.co_name))
            frame = frame.f_back
        deepest.append(found)
        return x**2

    ja.anneal(energy, 1.0, key=0, steps=1, progress=False)
    return max(deepest, key=len)


def report():
    """Print the size of the house."""
    folders = {path.parent for path in files().values()}
    longest = longest_chain()
    frames = frames_to_energy()
    print(f"files      {len(files())}")
    print(f"lines      {sum(lines(name) for name in files())}")
    print(f"folders    {len(folders)}")
    print(f"imports    the longest chain has {len(longest)} files: {' > '.join(longest)}")
    print(f"upwards    {len(upwards())} imports")
    print(f"frames     {len(frames)} in {len({f for f, _ in frames})} files, anneal to energy:")
    for path, function in reversed(frames):
        print(f"           {path} {function}")


if __name__ == "__main__":
    report()
