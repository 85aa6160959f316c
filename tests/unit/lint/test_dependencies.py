"""The lint tells a dependency that is used and told of from one that is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

LINT = Path(__file__).parents[3] / "lint"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LINT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lint = load("dependencies")

PROJECT = {
    "project": {
        "dependencies": ["Big.Lib>=1"],
        "optional-dependencies": {"api": ["small_lib[extra]==2", "ragindex[x]"]},
    },
    "dependency-groups": {"dev": ["tool>=1", {"include-group": "x"}]},
}
OF_MODULE = {"big": ["Big-Lib"], "small": ["small-lib"], "many": ["many-one", "many-two"]}
PAGE = "| package | why |\n|---|---|\n| Big-Lib | sums |\n| small-lib, many-one, -two | more |\n"


def found(names: set[str], modules: set[str], page: str) -> list[str]:
    return [each for each in lint.faults(names, modules, page, OF_MODULE) if "is said to be used" not in each]


def test_every_group_declares_dependencies() -> None:
    assert lint.declared(PROJECT) == {"big-lib", "small-lib", "tool"}


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import a.b\ndef f():\n    from c import d\nfrom . import e\n"
    assert lint.imported([source]) == {"a.b", "c", "c.d"}


def test_the_page_may_name_several_in_a_row() -> None:
    assert lint.told(PAGE) == {"big-lib", "small-lib", "many-one", "many-two"}


def test_what_is_used_and_told_of_is_taken() -> None:
    names = {"big-lib", "small-lib", "many-one", "many-two"}
    assert found(names, {"big", "small.part", "many.one", "many.two.x"}, PAGE) == []


@pytest.mark.parametrize(
    ("names", "modules", "page", "says"),
    [
        ({"big-lib"}, set(), "| big-lib | sums |\n", "big-lib is a dependency and imported nowhere"),
        ({"many-one"}, {"many.two"}, "| many-one | x |\n", "many-one is a dependency and imported nowhere"),
        ({"big-lib"}, {"big"}, "", "does not say why"),
        (set(), {"big"}, "| big-lib | sums |\n", "tells of big-lib, which is no dependency"),
    ],
)
def test_what_is_not_is_refused(names: set[str], modules: set[str], page: str, says: str) -> None:
    [fault] = found(names, modules, page)
    assert says in fault
