"""Rooms: imports lead down, never in a circle, and no file or function outgrows its reader."""

import rooms


def test_every_file_stands_in_a_room():
    assert [name for name in rooms.files() if rooms.room(name) == "" != name] == []


def test_imports_lead_down():
    assert rooms.upwards() == []


def test_imports_go_in_no_circle():
    assert len(rooms.longest_chain()) > 1


def test_files_and_functions_stay_short():
    long = {name: rooms.lines(name) for name in rooms.files() if rooms.lines(name) > 400}
    assert long == {}
    assert rooms.long_functions(40) == {}
