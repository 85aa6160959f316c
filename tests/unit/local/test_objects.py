"""What files say of RagIndex objects, and how it is told when they say it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragindex_local.objects import Read, Unreadable, read_all, uid_of

GOOD = """\
kind: RagIndex
metadata: {name: notes}
spec:
  embedding: {provider: Local, model: all-minilm-l6-v2, dimensions: 384}
  sources: [{name: files, directory: {path: ./files}}]
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_folder_gives_the_objects_of_its_yaml_files_and_of_no_others(tmp_path: Path) -> None:
    write(tmp_path, "notes.yaml", GOOD)
    write(tmp_path, "two.yml", GOOD.replace("notes", "one") + "---\n" + GOOD.replace("notes", "two"))
    write(tmp_path, "readme.md", "# no object")
    found, faults = read_all([tmp_path])
    assert [item.index.path for item in found] == ["default/notes", "default/one", "default/two"]
    assert faults == []
    assert all(item.base == tmp_path for item in found)


def test_the_same_name_always_has_the_same_uid(tmp_path: Path) -> None:
    (found,) = read_all([write(tmp_path, "notes.yaml", GOOD)])[0]
    assert isinstance(found, Read)
    assert found.index.metadata.uid == uid_of("default/notes") != uid_of("default/others")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("a: [1", "line 1, column", id="not YAML: where"),
        pytest.param("", "holds no object", id="emptied by an editor that is about to write it"),
        pytest.param("---\n# nothing\n", "holds no object", id="nothing but comments"),
        pytest.param("kind: ConfigMap", "must be RagIndex", id="another kind"),
        pytest.param("- 1", "must be a RagIndex object", id="a list"),
        pytest.param(GOOD.replace("384", "many"), "spec.embedding.dimensions", id="a field that is wrong"),
        pytest.param(GOOD.replace("sources", "source"), "spec.source", id="a field that is not known"),
    ],
)
def test_a_broken_file_is_told_with_its_name_and_place(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, "notes.yaml", text)
    found, faults = read_all([file])
    assert found == []
    assert all(isinstance(fault, Unreadable) for fault in faults)
    assert str(file) in str(faults[0])
    assert any(told in str(fault) for fault in faults)


def test_an_object_described_twice_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", GOOD)
    write(tmp_path, "b.yaml", GOOD)
    found, (fault,) = read_all([tmp_path])
    assert [item.file.name for item in found] == ["a.yaml"]
    assert "already described" in str(fault)
