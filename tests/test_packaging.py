"""What is installed is what was meant: floors, locks and the contents of the wheel."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
SYNAPSE_LOCK = "tests/peers/synapse/requirements.lock"
BASE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [
    Requirement(line)
    for lines in PROJECT["optional-dependencies"].values()
    for line in lines
    if not line.startswith(PROJECT["name"])
]


def read_lock(name: str) -> dict[str, Requirement]:
    """The packages of a lock file by name, each pinned to one version."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = (re.sub(r"--hash=\S+", "", line) for line in text.splitlines())
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pin(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


@pytest.mark.parametrize("lock", [*LOCKS, SYNAPSE_LOCK])
def test_a_lock_names_no_host_and_no_path(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"--(index|extra-index|find-links|trusted-host)", text)
    assert not re.search(r"(^|\s)/\w", text)


@pytest.mark.parametrize("lock", [*LOCKS, SYNAPSE_LOCK])
def test_every_locked_package_has_a_hash(lock):
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_locks_agree_with_each_other():
    runtime, dev, build = (read_lock(lock) for lock in LOCKS)
    assert {name: str(dev.get(name)) for name in runtime} == {
        name: str(requirement) for name, requirement in runtime.items()
    }
    assert {name: pin(build[name]) for name in build.keys() & dev} == {
        name: pin(dev[name]) for name in build.keys() & dev
    }


@pytest.mark.parametrize("requirement", BASE + EXTRAS, ids=lambda each: each.name)
def test_every_dependency_has_a_floor(requirement):
    assert any(specifier.operator == ">=" for specifier in requirement.specifier)


@pytest.mark.parametrize("requirement", BASE, ids=lambda each: each.name)
def test_the_lock_satisfies_every_base_dependency(requirement):
    version = pin(read_lock("requirements.lock")[canonicalize_name(requirement.name)])
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_the_extras_that_its_packages_ask_each_other_for(lock):
    """The pip of Python 3.11 looks for the newest `name[extra]` otherwise, and refuses it for its
    missing hash as soon as there is a newer one than the lock's."""
    locked = read_lock(lock)
    missing = {
        str(wanted)
        for name in locked
        for wanted in list_requirements_of(name)
        if not wanted.extras <= locked[canonicalize_name(wanted.name)].extras
    }
    assert missing == set()


def list_requirements_of(package: str) -> list[Requirement]:
    """What an installed package asks for without extras. Nothing if it is not installed."""
    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires(package) or []]
    except importlib.metadata.PackageNotFoundError:
        return []
    return [each for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]


@pytest.mark.parametrize("requirement", BASE, ids=lambda each: each.name)
def test_every_base_dependency_is_installed(requirement):
    if requirement.marker and not requirement.marker.evaluate():
        pytest.skip(f"not for this machine: {requirement.marker}")
    assert requirement.specifier.contains(importlib.metadata.version(requirement.name))


@pytest.mark.parametrize("requirement", BASE + EXTRAS, ids=lambda each: each.name)
def test_every_dependency_has_its_reason_on_record(requirement):
    record = (ROOT / "docs/decisions/0002-dependencies.md").read_text()
    assert re.search(rf"(?<![\w-]){re.escape(requirement.name)}(?![\w-])", record)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that would be published, built without a network."""
    try:
        importlib.metadata.version("hatchling")
    except importlib.metadata.PackageNotFoundError:
        if os.environ.get("TEST_REQUIRE_PEERS"):
            raise
        pytest.skip("hatchling is not installed (requirements-build.lock)")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_has_all_that_the_packages_have(wheel):
    inside = {
        str(path.relative_to(ROOT))
        for package in ("sigil", "workers")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert inside - set(wheel.namelist()) == set()
    assert any(name.startswith("sigil/stores/lua/") and name.endswith(".lua") for name in inside)
    assert any(name.startswith("sigil/web/static/") for name in inside)
    assert "sigil/py.typed" in inside


def test_the_wheel_has_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "sigil",
        "workers",
        "celeryconfig.py",
    }


def test_the_wheel_brings_the_command(wheel):
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "sigil = sigil.cli:main" in wheel.read(entry_points).decode()
