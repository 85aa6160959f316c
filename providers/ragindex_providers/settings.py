"""What the process that composes RagIndex hands to its providers: plain values, read from nowhere in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragindex_core.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must not end up in a log or a traceback: only ``reveal`` shows it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Timeouts:
    """``read`` bounds the silence between two parts of an answer, ``total`` the whole answer."""

    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    total_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible service. ``base_url`` is the part before ``/embeddings`` and ``/chat/completions``."""

    name: str
    base_url: str
    api_key: Secret | None = None
    ca_file: Path | None = None
    proxy: str | None = None  # the environment's proxy settings are not looked at
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_input_tokens: int | None = None  # of its embedding models, where RagIndex does not know them
    max_batch: int = 64
    concurrency: int = 4
    tokens_per_minute: int = 0  # of each of its embedding models, over all processes; 0: no limit
    requests_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class LocalModelFiles:
    """A folder with ``model.onnx``, ``tokenizer.json`` and ``ragindex-model.json``.

    ``sha256`` pins the last of them, which in turn pins the other two.
    """

    folder: Path
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """``models_dir`` keeps what is built once out of installed packages; ``local_threads`` is how many texts a local
    model embeds at a time, one processor each."""

    models_dir: Path
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    local_threads: int = 1
    local_models: Mapping[str, LocalModelFiles] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.local_threads < 1:
            raise Misconfigured(f"local_threads is {self.local_threads}; at least one is needed")
