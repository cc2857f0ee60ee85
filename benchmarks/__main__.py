"""``python -m benchmarks list | run SUITE [--quick] [--peers] | report``."""

import argparse
import importlib
import inspect
import sys
from collections.abc import Mapping

from benchmarks import report
from benchmarks.rows import RESULTS, append

# `global` is a word of Python's own, which no package can be called.
_ROOMS = {name: name for name in ("exchanges", "networks", "sampling", "scale", "step", "tuning")}
_ROOMS["global"] = "search"
SUITES = {x: importlib.import_module(f"benchmarks.{_ROOMS[x]}.suite") for x in sorted(_ROOMS)}
_OPTIONS = ("peers", "problems", "solvers", "seeds")


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the suites")
    run = commands.add_parser("run", help="run a suite and append its rows to benchmarks/results")
    run.add_argument("suite", choices=sorted(SUITES))
    run.add_argument("--quick", action="store_true", help="within two minutes, rows not kept")
    run.add_argument("--peers", action="store_true", help="with other libraries: extra [bench]")
    run.add_argument("--problems", help="only these: names, * for anything, ; between them")
    run.add_argument("--solvers", help="only these, as problems")
    run.add_argument("--seeds", type=int, help="how many of each")
    commands.add_parser("report", help="write benchmarks/README.md and the README's table")
    arguments = parser.parse_args(argv)
    if arguments.command == "list":
        for name, suite in SUITES.items():
            print(f"{name}: {(suite.__doc__ or '').splitlines()[0]}")
    elif arguments.command == "report":
        print(report.write(RESULTS, SUITES))
    else:
        name, quick = arguments.suite, arguments.quick
        options = {option: getattr(arguments, option) for option in _OPTIONS}
        options = {option: value for option, value in options.items() if value}
        for option in options:
            if option not in _options_of(name):
                able = ", ".join(x for x in SUITES if option in _options_of(x))
                parser.error(f"--{option}: expected with {able}, got with {name}.")
        for row in SUITES[name].run(quick=quick, **options):
            print(SUITES[name].line(row), flush=True)
            if not quick:
                append(row)
    return 0


def _options_of(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(SUITES[name].run).parameters


if __name__ == "__main__":
    sys.exit(main())
