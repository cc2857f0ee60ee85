"""The structure of the library and the benchmarks, read from their imports.

The rooms stand from the top down: a file imports from its own room or from rooms on a line below
it. ``python tests/rooms.py`` prints the structure of the library.
"""

import ast
import functools
import graphlib
import pathlib
import sys

import jaxanneal as ja


class House:
    """A package, and the lines of its rooms."""

    def __init__(self, root, *lines):
        self.root = root
        self.lines = {room: index for index, line in enumerate(lines) for room in line.split(" ")}


LIBRARY = House(
    pathlib.Path(ja.__file__).parent,
    "__main__",
    "_demo",
    "",  # jaxanneal itself: what a user may rely on
    "_sweep",
    "_polish",
    "_run",
    "_result",
    "_plots",
    "_diagnostics",
    "_engine",
    "_methods",
    "_methods.ladder",
    "_kernels",
    "moves",
    "cooling",
    "_files",
    "_chain",
    "_settings",
    "_checks",
    "_pytree",
    "_warn",
    "_version",
)
BENCHMARKS = House(
    pathlib.Path(__file__).parents[1] / "benchmarks",
    "__main__",
    "",  # nothing but a docstring
    "tuning",  # of problems of another suite, too
    "bits exchanges networks sampling scale search step",
    "effective ladder_run memory processes random_walk report success",
    "problems targets",
    "rows workloads",
)


@functools.cache
def files(house):
    """Return the file of each module by its dotted name within the package."""
    paths = {}
    for path in sorted(house.root.rglob("*.py")):
        parts = path.relative_to(house.root).with_suffix("").parts
        paths[".".join(part for part in parts if part != "__init__")] = path
    return paths


@functools.cache
def tree(house, name):
    """Return the syntax tree of a module."""
    return ast.parse(files(house)[name].read_text())


@functools.cache
def imports(house, name):
    """Return what a module imports of its package, wherever in the file an import stands."""
    modules = set()
    for node in ast.walk(tree(house, name)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        modules |= {module(house, n) for n in names if n.split(".")[0] == house.root.name}
    return modules - {name}


def module(house, dotted):
    """Return the module that a dotted name lives in."""
    name = dotted.removeprefix(house.root.name).removeprefix(".")
    while name not in files(house):
        name = name.rpartition(".")[0]
    return name


def room(house, name):
    """Return the room that a module stands in."""
    while name not in house.lines:
        name = name.rpartition(".")[0]
    return name


def upwards(house):
    """Return the imports that lead from a room to one above it, or beside it."""
    return [
        f"{name} imports {other}"
        for name in files(house)
        for other in sorted(imports(house, name))
        if (here := room(house, name)) != (there := room(house, other))
        and house.lines[there] <= house.lines[here]
    ]


def longest_chain(house):
    """Return the longest chain of imports, from the top down.

    Raises:
        graphlib.CycleError: Imports go in a circle.
    """
    below, chains = {name: imports(house, name) for name in files(house)}, {}
    for name in graphlib.TopologicalSorter(below).static_order():
        chains[name] = (name, *max((chains[x] for x in sorted(below[name])), key=len, default=()))
    return max(chains.values(), key=len)


def long_functions(house, most):
    """Return the functions of more lines of code than ``most``, docstrings apart."""
    long = {}
    for name in files(house):
        for node in ast.walk(tree(house, name)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                doc = ast.get_docstring(node)
                lines = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
                if lines > most:
                    long[f"{name}.{node.name}"] = lines
    return long


def lines(house, name):
    """Return the number of lines of a module."""
    return files(house)[name].read_text().count("\n")


def frames_to_energy():
    """Return the files and functions between the caller of ``anneal`` and the user's energy."""
    deepest = []

    def energy(x):
        frame, frames = sys._getframe(1), []
        while frame is not None:
            path = pathlib.Path(frame.f_code.co_filename)
            if path.is_relative_to(LIBRARY.root):
                frames.append((str(path.relative_to(LIBRARY.root)), frame.f_code.co_name))
            frame = frame.f_back
        deepest.append(frames)
        return x**2

    ja.anneal(energy, 1.0, key=0, steps=1, progress=False)
    return max(deepest, key=len)


def report():
    """Print the size of the house."""
    folders = {path.parent for path in files(LIBRARY).values()}
    longest = longest_chain(LIBRARY)
    frames = frames_to_energy()
    print(f"files      {len(files(LIBRARY))}")
    print(f"lines      {sum(lines(LIBRARY, name) for name in files(LIBRARY))}")
    print(f"folders    {len(folders)}")
    print(f"imports    the longest chain has {len(longest)} files: {' > '.join(longest)}")
    print(f"upwards    {len(upwards(LIBRARY))} imports")
    print(f"frames     {len(frames)} in {len({f for f, _ in frames})} files, anneal to energy:")
    for path, function in reversed(frames):
        print(f"           {path} {function}")


if __name__ == "__main__":
    report()
