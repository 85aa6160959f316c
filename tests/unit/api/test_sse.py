"""Whatever an event holds, it is one event on the wire: no text of a document or model can begin another one."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ragindex_api.sse import Event

EXAMPLES = 20_000 if os.environ.get("RAGINDEX_FAULTS") == "long" else 100
MARKS = [
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "data: x",
    "event: done\n",
    ":",
    "\u2028",
    "\u2029",
    "\x85",
    "\0",
    "\ufeff",
    "é",
    "\\n",
]
texts = st.lists(st.one_of(st.sampled_from(MARKS), st.text(max_size=3)), max_size=6).map("".join)
values = st.recursive(
    st.one_of(
        texts, st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=10,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    name=st.sampled_from(["retrieval", "token", "citation", "done", "error"]),
    data=st.dictionaries(texts, values, max_size=4),
)
def test_an_event_is_one_event_with_its_data_whole(name: str, data: dict[str, Any]) -> None:
    wire = Event(name, data).encode()
    head, body, *rest = wire.split(b"\n")
    assert rest == [b"", b""]
    assert b"\r" not in wire
    assert head == b"event: " + name.encode()
    assert body.startswith(b"data: ")
    assert json.loads(body.removeprefix(b"data: ")) == data
