"""What must agree between files: pins, Binder, hooks, table of contents, and the repository's address."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import notebooks
import pytest
import repository
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sphinx.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.]+?)(?:\+cpu)?(?: ; .+)?")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirement_lines(name: str) -> list[str]:
    """The lines of a requirements file that name a package or a project."""
    lines = (line.partition(" #")[0].strip() for line in read(name).splitlines())
    return [line for line in lines if line and not line.startswith(("#", "--"))]


def pins(lines: list[str]) -> dict[str, str]:
    """Package and version of each line; every line must be an exact pin."""
    matches = [PIN.fullmatch(line) for line in lines]
    assert None not in matches, [line for line, match in zip(lines, matches, strict=True) if match is None]
    return {canonicalize_name(match["name"]): match["version"] for match in matches}


@pytest.fixture(scope="module")
def pinned() -> dict[str, str]:
    *lines, project = requirement_lines("requirements.txt")
    assert project == "-e .[tests,docs]"
    return pins(lines)


def test_everything_that_is_needed_is_pinned(pinned):
    """Follow the requirements of convlab[tests,docs] through the installed packages."""
    seen, waiting = set(), [Requirement("convlab[tests,docs]")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            inner = map(Requirement, distribution(name).requires or [])
            waiting += [one for one in inner if one.marker is None or one.marker.evaluate({"extra": extra})]
            waiting += [Requirement(name)]
    needed = {name for name, _ in seen} - {"convlab"}
    elsewhere = {re.split(r"==", line)[0] for line in requirement_lines("requirements.txt") if " ; " in line}
    assert needed - set(pinned) == set()
    assert set(pinned) - needed - elsewhere == set()


def test_what_is_installed_is_what_is_pinned(pinned):
    wrong = {}
    for name, wanted in pinned.items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue  # for another system; the test above tells if it is needed here
        if installed != wanted:
            wrong[name] = f"{installed}, not {wanted}"
    assert wrong == {}


def test_binder_installs_the_same_versions(pinned):
    binder = pins(requirement_lines("binder/requirements.txt"))
    assert binder.items() <= pinned.items()
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    groups = ["torch", "figures", "data", "weights", "notebooks"]
    wanted = {canonicalize_name(Requirement(line).name) for group in groups for line in extras[group]}
    assert set(binder) == (wanted | {"numpy"}) - {"convlab"}
    assert "torch==" + pinned["torch"] + "+cpu" in requirement_lines("binder/requirements.txt")


def test_binder_files_make_an_image():
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)
    command = [Path(sys.executable).with_name("jupyter-repo2docker"), "--no-build", "--debug", ROOT]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    recipe = result.stdout + result.stderr
    assert result.returncode == 0, recipe
    python = read("binder/runtime.txt").strip().removeprefix("python-")
    assert f"Building conda environment for python={python}" in recipe
    assert re.search(r"pip install .*-r binder/requirements\.txt", recipe.replace('"', ""))
    assert "./binder/postBuild" in recipe
    assert "jupyter lab workspaces import binder/workspace.json" in read(
        "binder/postBuild"
    )  # test_jupyterlab.py


def test_hooks_use_the_pinned_versions(pinned):
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = [pins(hook["additional_dependencies"]) for hook in local["hooks"]]
    assert hooks
    for hook in hooks:
        assert hook.items() <= pinned.items()


def test_ci_runs_make_test_and_nothing_else():
    lines = [line for line in read(".ci/run").splitlines() if not line.startswith(("#", "set ", "cd "))]
    assert lines == ["make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    steps = yaml.safe_load(read(".github/workflows/book.yml"))["jobs"]["test"]["steps"]
    commands = [step["run"] for step in steps if not step.get("run", "sudo ").startswith("sudo ")]
    assert commands == [".ci/run", "make pdf", "make book"]


def test_contents_list_what_exists():
    toc = yaml.safe_load(read("_toc.yml"))
    listed = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert [name for name in listed if not list(ROOT.glob(f"{name}.*"))] == []
    assert [name for name in listed if name.startswith("chapters/")] == [
        f"chapters/{path.stem}" for path in notebooks.CHAPTERS
    ]


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/ada/convlab", "https://github.com/ada/convlab"),
        ("https://github.com/ada/convlab.git\n", "https://github.com/ada/convlab"),
        ("https://ada:token@github.com/ada/conv.lab.git", "https://github.com/ada/conv.lab"),
        ("git@github.com:ada/convlab.git", "https://github.com/ada/convlab"),
        ("ssh://git@github.com/ada/convlab.git", "https://github.com/ada/convlab"),
        ("ssh://git@GitLab.com:22/ada/convlab/", "https://gitlab.com/ada/convlab"),
        ("git@git.example.org:ada/convlab.git", None),
        ("https://github.com.example.org/ada/convlab", None),
        ("https://github.com/ada", None),
        ("/srv/git/convlab.git", None),
        ("../convlab", None),
        ("", None),
    ],
)
def test_repository_address_is_normalised(remote, address):
    assert repository.normalise(remote) == address


def test_repository_address_comes_from_ci_or_from_git(tmp_path):
    assert repository.find({"GITHUB_REPOSITORY": "ada/convlab"}, tmp_path) == "https://github.com/ada/convlab"
    private = {"GITHUB_REPOSITORY": "ada/convlab", "GITHUB_SERVER_URL": "https://git.example.org"}
    assert repository.find(private, tmp_path) is None
    git = [shutil.which("git"), "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert repository.find({}, tmp_path) is None
    subprocess.run([*git, "remote", "add", "origin", "git@github.com:ada/convlab.git"], check=True)
    assert repository.find({}, tmp_path) == "https://github.com/ada/convlab"


@pytest.mark.parametrize(
    ("environment", "found", "site"),
    [
        ({}, "https://github.com/Ada/convlab", "https://ada.github.io/convlab/"),
        ({}, "https://github.com/ada/Ada.github.io", "https://ada.github.io/"),
        ({}, "https://gitlab.com/ada/convlab", None),
        ({}, None, None),
        ({"SITE_ADDRESS": "https://convlab.example.org"}, None, "https://convlab.example.org/"),
        (
            {"SITE_ADDRESS": "http://example.org/a/b/"},
            "https://github.com/ada/convlab",
            "http://example.org/a/b/",
        ),
    ],
)
def test_site_address(environment, found, site):
    assert repository.find_site(environment, found) == site


@pytest.mark.parametrize(
    "address", ["convlab.example.org", "ftp://example.org", "https://", "https://a b.org"]
)
def test_site_address_must_be_one(address):
    with pytest.raises(ConfigError, match=f"`SITE_ADDRESS` must begin .* got '{re.escape(address)}'"):
        repository.find_site({"SITE_ADDRESS": address}, None)


def test_repository_address_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert repository.find({}, ROOT) is None
