"""Which keys of a source are meant: ``include`` and ``exclude`` globs.

``*`` and ``?`` stop at ``/``, ``**`` alone between slashes stands for any folders, ``[…]`` for one character of a set.
A leading dot is a character like any other. Letters match in their own case. A pattern is matched against the whole
path below the source, so ``*.pdf`` means the files at its top and ``**/*.pdf`` those of all folders. A key is taken
when an include matches (or there is none) and no exclude does.
"""

from __future__ import annotations

from collections.abc import Sequence

from wcmatch import glob

from ragindex_core.errors import FieldProblem, InvalidInput

_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX | glob.CASE
_EVERYTHING_BELOW = "/**"


class Patterns:
    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        problems = [
            FieldProblem(f"{name}[{position}]", problem)
            for name, patterns in (("include", include), ("exclude", exclude))
            for position, pattern in enumerate(patterns)
            if (problem := _problem(pattern))
        ]
        if problems:
            raise InvalidInput(problems)
        self._include = glob.compile(list(include) or ["**"], flags=_FLAGS)
        self._exclude = glob.compile(list(exclude), flags=_FLAGS) if exclude else None
        whole = [p.removesuffix(_EVERYTHING_BELOW) for p in exclude if p.endswith(_EVERYTHING_BELOW)]
        self._excluded_folders = glob.compile(whole, flags=_FLAGS) if whole else None

    def take(self, path: str) -> bool:
        return self._include.match(path) and not (self._exclude and self._exclude.match(path))

    def skip_folder(self, path: str) -> bool:
        """Whether all below is excluded, so that nobody need look: it may be large, or closed."""
        return bool(self._excluded_folders and self._excluded_folders.match(path))


def _problem(pattern: str) -> str | None:
    if not pattern or "\0" in pattern:
        return "a pattern cannot be empty or hold NUL"
    if pattern.startswith("/"):
        return f"{pattern!r} starts with a slash; patterns are relative to the source"
    if ".." in pattern.split("/"):
        return f"{pattern!r} leads out of the source"
    return None
