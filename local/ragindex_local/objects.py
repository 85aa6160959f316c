"""RagIndex objects in files: which there are, what they say, and what became of those that went away."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from ragindex_core.errors import FieldProblem, InvalidSpec, Misconfigured
from ragindex_core.object.resource import KIND, RagIndex, parse

#: Local objects get their uid from their name, so that the same file finds its data again.
_UIDS = uuid.UUID("6f1d3a52-77f0-4e0b-9b54-0f6a3d5b8f0e")
_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclass(frozen=True, slots=True)
class Read:
    """One object as its file holds it. ``base`` is what its relative paths are relative to."""

    index: RagIndex
    file: Path

    @property
    def base(self) -> Path:
        return self.file.parent


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or one object in it, that breaks a rule. ``path`` is the object's, when it says who it is."""

    file: Path
    problems: tuple[FieldProblem, ...]
    path: str | None = None

    def __str__(self) -> str:
        return "\n".join(f"{self.file}: {problem}" for problem in self.problems)


def files(given: Iterable[Path]) -> Iterator[Path]:
    """The files themselves, and those in the folders given (not below)."""
    for path in given:
        if path.is_dir():
            yield from sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and p.is_file())
        else:
            yield path


def read_all(given: Iterable[Path]) -> tuple[list[Read], list[Unreadable]]:
    """Everything in the given files and folders; an object named twice counts once, the second time as a fault."""
    found: dict[str, Read] = {}
    faults: list[Unreadable] = []
    for file in files(given):
        for item in read(file):
            if isinstance(item, Unreadable):
                faults.append(item)
            elif item.index.path in found:
                other = found[item.index.path].file
                message = f"{item.index.path} is already described in {other}; remove one of the two"
                faults.append(Unreadable(file, (FieldProblem("metadata.name", message),)))
            else:
                found[item.index.path] = item
    return list(found.values()), faults


def read(file: Path) -> Iterator[Read | Unreadable]:
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        yield Unreadable(file, (FieldProblem(where, f"is not YAML: {error.problem or error.context or 'unreadable'}"),))
        return
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        yield Unreadable(file, (FieldProblem("", f"is not YAML: {str(error).splitlines()[0]}"),))
        return
    except OSError as error:
        yield Unreadable(file, (FieldProblem("", f"cannot be read: {error.strerror or error}"),))
        return
    if all(document is None for document in documents):
        # An editor that empties a file before it writes it must not take an index away.
        yield Unreadable(file, (FieldProblem("", "holds no object; remove the file to remove its index"),))
        return
    for document in documents:
        if document is not None:
            yield _object(file, document)


def _object(file: Path, document: object) -> Read | Unreadable:
    if isinstance(document, dict) and document.get("kind") not in (None, KIND):
        return Unreadable(file, (FieldProblem("kind", f"must be {KIND}, not {document['kind']!r}"),))
    try:
        index = parse(document, str(file))
    except InvalidSpec as error:
        return Unreadable(file, error.problems, _path_of(document))
    metadata = index.metadata.model_copy(update={"uid": uid_of(index.path)})
    return Read(index.model_copy(update={"metadata": metadata}), file.absolute())


def _path_of(document: object) -> str | None:
    """Who a broken object says it is, so that the one in force can be told of it."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
        namespace = metadata.get("namespace") or "default"
        return f"{namespace}/{metadata['name']}"
    return None


def uid_of(path: str) -> str:
    return str(uuid.uuid5(_UIDS, path))


def check_given(given: Iterable[Path]) -> None:
    for path in given:
        if not path.exists():
            raise Misconfigured(f"{path} does not exist; -f takes a RagIndex file or a folder of them")
