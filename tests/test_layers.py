"""Each file imports only from those above it, and no file or function outgrows its reader."""

import ast
import pathlib

import jaxanneal

ROOT = pathlib.Path(jaxanneal.__file__).parent

# From the ground up: a file may import from the rows before its own only.
LAYERS = [
    "_version",
    "_warn",
    "_pytree",
    "_numbers",
    "_tracing",
    "_host_devices",
    "_entries",
    "_sharding",
    "_generator",
    "_prng",
    "_parameters",
    "_energy",
    "_move",
    "_metropolis",
    "_chain",
    "moves._noise",
    "moves._bounds",
    "moves._rounding",
    "moves._perturbation",
    "moves._continuous",
    "moves._discrete",
    "moves._per_leaf",
    "moves",
    "cooling",
    "_schedule",
    "_methods._protocol",
    "_methods._simulated_annealing",
    "_methods._ladder_settings",
    "_methods._equal_rejection",
    "_methods._groups",
    "_methods._free_energy",
    "_methods._rung_energies",
    "_methods._ladders",
    "_methods._swaps",
    "_methods._parallel_tempering",
    "_methods",
    "_adaptation",
    "_blocks",
    "_state",
    "_round",
    "_engine",
    "_history",
    "_convergence",
    "_diagnostics",
    "_stop_reason",
    "_box",
    "_continuation",
    "_distinct",
    "_archive",
    "_not_saved",
    "_saving",
    "_check_spacing",
    "_check_ladder",
    "_check",
    "_summary",
    "_axes",
    "_figure",
    "_index_process",
    "_overlap",
    "_rung_curves",
    "_ladder_figure",
    "_plots",
    "_arviz",
    "_exports",
    "_result_file",
    "_result",
    "_progress",
    "_interrupt",
    "_clock",
    "_limits",
    "_checkpoint",
    "_start",
    "_compiled",
    "_program",
    "_fingerprint",
    "_lock",
    "_folder",
    "_keeper",
    "_stretch",
    "_driver",
    "_problem",
    "_calibrate",
    "_resume",
    "_outcome",
    "_optimizer",
    "_descent",
    "_polish",
    "_anneal",
    "_algorithm",
    "_sweep_settings",
    "_sweep_labels",
    "_sweep_plan",
    "_sweep_jobs",
    "_sweep_programs",
    "_sweep_memory",
    "_sweep_moves",
    "_sweep_batch",
    "_sweep_groups",
    "_sweep_table",
    "_sweep_identity",
    "_sweep_store",
    "_sweep_bar",
    "_sweep_figure",
    "_sweep",
    "",
    "_demo_network",
    "_demo_budget",
    "_demo_figure",
    "_demo_table",
    "_demo",
    "_cli",
    "__main__",
]


def files():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imported(path):
    """Yield what a file imports of this package, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "jaxanneal":
                yield place(name.removeprefix("jaxanneal").removeprefix("."))


def place(name):
    """Return the file that a dotted name lives in."""
    while name not in LAYERS:
        name = name.rpartition(".")[0]
    return name


def test_every_file_has_its_layer():
    assert {name for name, _ in files()} <= set(LAYERS)


def test_imports_point_to_earlier_layers():
    wrong = [
        f"{name} imports {other}"
        for name, path in files()
        for other in imported(path)
        if name not in ("", "moves", "_methods") and LAYERS.index(other) >= LAYERS.index(name)
    ]
    assert wrong == []


def test_files_and_functions_stay_short():
    long = []
    for name, path in files():
        text = path.read_text()
        if text.count("\n") > 250:
            long.append((name, text.count("\n")))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                doc = ast.get_docstring(node)
                lines = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
                if lines > 40:
                    long.append((f"{name}.{node.name}", lines))
    assert long == []
