"""``python -m benchmarks list | run SUITE [--quick] [--peers] | report``."""

import argparse
import sys

from benchmarks import _report, _rows, networks, step

SUITES = {"networks": networks, "step": step}


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the suites")
    run = commands.add_parser("run", help="run a suite and append its rows to benchmarks/results")
    run.add_argument("suite", choices=sorted(SUITES))
    run.add_argument("--quick", action="store_true", help="within two minutes, rows not kept")
    commands.add_parser("report", help="write benchmarks/README.md from the rows kept")
    chosen = parser.parse_args(argv)
    if chosen.command == "list":
        for name, suite in SUITES.items():
            print(f"{name}: {(suite.__doc__ or '').splitlines()[0]}")
    elif chosen.command == "report":
        print(_report.write(_rows.RESULTS, SUITES))
    else:
        for row in SUITES[chosen.suite].run(quick=chosen.quick):
            print(SUITES[chosen.suite].line(row), flush=True)
            if not chosen.quick:
                _rows.append(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
