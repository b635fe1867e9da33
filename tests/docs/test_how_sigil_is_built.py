"""`docs/how-sigil-is-built.md` names what there is, and forgets no room."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from pathlib import Path

import pytest

from sigil.lanes.effects import Effect
from sigil.stores.redis.effects import _ENCODERS
from sigil.stores.redis.keys import Keys
from tests.workers.stack import ROOT

PAGE = (ROOT / "docs/how-sigil-is-built.md").read_text()
# `path/to/file.py` `name`, or the path alone.
PLACE = re.compile(r"`((?:sigil|workers|tests)/[\w/.]+)`(?: `(\w+)`)?")
PLACES = sorted({(path, name) for path, name in PLACE.findall(PAGE) if "NAME" not in path})

# May be imported from below.
SEAMS = {"sigil.channels.base", "sigil.stores.base"}


def read_section(heading: str) -> str:
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    return section[1]


def list_names(file: Path) -> set[str]:
    """The functions, classes and constants that a module defines, methods included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_a_place_that_is_named_exists(path: str, name: str) -> None:
    file = ROOT / path
    assert file.exists()
    if name:
        assert name in list_names(file)


def list_floors() -> list[list[str]]:
    """The rooms of each row, the highest first."""
    rows = re.findall(r"^\| (`.*?) \|", read_section("The rooms"), re.MULTILINE)
    return [re.findall(r"`(\w+)`", row) for row in rows]


def test_every_room_has_its_line() -> None:
    named = [room for floor in list_floors() for room in floor]
    modules = {file.stem for file in (ROOT / "sigil").glob("[!_]*.py")}
    packages = {folder.parent.name for folder in (ROOT / "sigil").glob("*/__init__.py")}
    assert sorted(named) == sorted({*modules, *packages, "workers"})


def test_imports_point_down_the_list() -> None:
    floor_of = {room: number for number, floor in enumerate(list_floors()) for room in floor}
    climbs = []
    for file in (ROOT / "sigil").rglob("*.py"):
        room = file.relative_to(ROOT / "sigil").with_suffix("").parts[0]
        if room not in floor_of:  # the package itself
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if not module.startswith("sigil.") or module in SEAMS:
                continue
            if floor_of[module.split(".")[1]] < floor_of[room]:
                climbs.append(f"{file.relative_to(ROOT)} imports {module}")
    assert climbs == []


def test_every_kind_of_key_is_named() -> None:
    rows = re.findall(r"^\| (`.*?) \|", read_section("What is where in Redis"), re.MULTILINE)
    named = set(re.findall(r"`([\w:-]+)`", " ".join(rows)))
    keys = Keys(prefix="")
    kinds = set()
    for name, make in inspect.getmembers(keys, inspect.ismethod):
        if not name.startswith(("_", "parse")):
            key = make(*["x"] * len(inspect.signature(make).parameters))
            kinds.add(key if key.startswith("lanes:") else key.partition(":")[0])
    assert named == kinds


def test_every_effect_has_an_encoder() -> None:
    assert set(_ENCODERS) == set(typing.get_args(Effect))
