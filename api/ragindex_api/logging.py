"""One JSON line an event. Questions, answers, document text and secrets never get here: callers log ids and counts."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import orjson

#: What the standard library puts on every record; the rest came from ``extra``.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}

_FILE_BYTES = 10 * 1024 * 1024


class JsonFormatter(logging.Formatter):
    """Errors show their type and the places they came through, not their message: a driver's message quotes values."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line |= describe(record.exc_info[0], record.exc_info[2])
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def describe(kind: type[BaseException], trace: TracebackType | None) -> Mapping[str, Any]:
    frames = traceback.extract_tb(trace)
    return {
        "error": f"{kind.__module__}.{kind.__qualname__}",
        "trace": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def configure(level: str, stream: TextIO | None = None, file: Path | None = None) -> None:
    """For the process as a whole; uvicorn's own access log is off, the service writes a better one. A ``file`` is
    put aside when it has grown, and only the one before it is kept."""
    handler: logging.StreamHandler[Any] = (
        RotatingFileHandler(file, maxBytes=_FILE_BYTES, backupCount=1, encoding="utf-8")
        if file is not None
        else logging.StreamHandler(stream or sys.stderr)
    )
    handler.setFormatter(JsonFormatter())
    # Looked up for every record, and shown by none of ours.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # as the logging cookbook has it: nobody asks for the caller
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
