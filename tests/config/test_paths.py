"""Paths of keys through nested data."""

import pytest

from sigil.config.paths import format_path, is_below, put_value, remove_value


def test_a_path_is_written_as_people_write_it():
    assert format_path(("workspaces", "lab", "bindings", 0, "channel")) == (
        "workspaces.lab.bindings[0].channel"
    )


def test_below_means_at_a_root_or_under_it():
    assert is_below(("a", "b"), {("a",), ("x",)})
    assert is_below(("a",), {("a",)})
    assert not is_below(("a",), {("a", "b")})


def test_mappings_on_the_way_are_made_and_other_values_left():
    data = {"text": "x", "none": None}
    put_value(data, ("new", "key"), 1)
    put_value(data, ("none", "key"), 2)
    put_value(data, ("text", "key"), 3)
    assert data == {"text": "x", "none": {"key": 2}, "new": {"key": 1}}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (("a", "b", 0), {"a": {"b": [2]}, "c": 3}),
        (("a", "b"), {"a": {}, "c": 3}),
        (("c", "nothing", "there"), {"a": {"b": [1, 2]}}),
        (("a", "missing"), {"c": 3}),
    ],
)
def test_the_nearest_thing_that_exists_is_removed(path, left):
    data = {"a": {"b": [1, 2]}, "c": 3}
    remove_value(data, path)
    assert data == left
