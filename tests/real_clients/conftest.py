"""A project folder and names of branches, for the tests with real clients."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..conftest import PlaneApi


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    return project


@pytest.fixture
def forget(api: PlaneApi) -> Iterator[Callable[[str], str]]:
    """Names a branch, and deletes it at the end if the client has not."""
    names: list[str] = []

    def remember(name: str) -> str:
        names.append(name)
        return name

    yield remember
    for branch in api("GET", f"{api.project}/branches")["branches"]:
        if branch["name"] in names:
            api("DELETE", f"{api.project}/branches/{branch['id']}")
