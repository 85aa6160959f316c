"""The lint tells a file that the models make from one that was changed by hand, is old or is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_FILE = Path(__file__).parents[3] / "lint" / "crd.py"
_SPEC = importlib.util.spec_from_file_location("crd", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
lint = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lint)

MADE = {"k8s/one.yaml": ("one: 1\n", "package.one"), "docs/two.md": ("two\n", "package.two")}


def test_what_is_as_it_was_made_passes(tmp_path: Path) -> None:
    for name, (text, _) in MADE.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(lint.faults(MADE, tmp_path)) == []


def test_what_differs_or_is_missing_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "one.yaml").write_text("one: 2\n", encoding="utf-8")
    changed, missing = lint.faults(MADE, tmp_path)
    assert changed.endswith("run: .venv/bin/python -m package.one > k8s/one.yaml")
    assert missing.startswith("docs/two.md is not what the models make")
