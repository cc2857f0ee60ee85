"""Rooms: imports lead down, never in a circle, and no file or function outgrows its reader."""

import ast

import pytest
import rooms

BOTH = {"library": rooms.LIBRARY, "benchmarks": rooms.BENCHMARKS}
pytestmark = pytest.mark.parametrize("house", BOTH.values(), ids=BOTH)


def test_every_file_stands_in_a_room(house):
    assert [x for x in rooms.files(house) if rooms.room(house, x) == "" != x] == []


def test_imports_lead_down(house):
    assert rooms.upwards(house) == []


def test_imports_go_in_no_circle(house):
    assert len(rooms.longest_chain(house)) > 1


def test_files_and_functions_stay_short(house):
    assert [x for x in rooms.files(house) if rooms.lines(house, x) > 400] == []
    assert rooms.long_functions(house, 40) == {}


def test_no_name_says_what_happened_to_a_value(house):
    words = {"told", "found", "made", "wanted", "asked"}
    names = {
        f"{module}: {name}"
        for module in rooms.files(house)
        for node in ast.walk(rooms.tree(house, module))
        for name in (getattr(node, field, None) for field in ("id", "arg", "name", "attr"))
        if isinstance(name, str) and name.strip("_") in words
    }
    assert names == set()
