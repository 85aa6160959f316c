"""A question from request to cited answer: search, judge, say, check, remember."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib.resources import files
from time import perf_counter
from typing import Any

from ragindex_api import shaping
from ragindex_api.catalogue import Catalogue, ServingIndex
from ragindex_api.conversation import TURNS, FollowUp, joined, leans
from ragindex_api.generation import Generators
from ragindex_api.metrics import Metrics
from ragindex_api.recorder import Recorder
from ragindex_api.retrieval import Found, Retrieval
from ragindex_api.sse import Event
from ragindex_api.wire.answer import AnswerRequest
from ragindex_api.wire.search import SearchRequest
from ragindex_core.analysis import query_terms
from ragindex_core.answer import (
    CALIBRATIONS,
    UNCALIBRATED,
    AnswerOutcome,
    AnswerText,
    Citation,
    DocumentRef,
    GateEvent,
    MarkerGate,
    Passage,
    PromptTemplate,
    TermWeights,
    Wording,
    build_prompt,
    extract,
    judge,
    select_context,
    terms_of,
)
from ragindex_core.chunking.tokens import EstimatingTokenizer, counts
from ragindex_core.errors import NotFound, ProviderRefused, Unavailable
from ragindex_core.ports import GenerationDone, GenerationRequest, Generator, TextDelta
from ragindex_db import ledger, serving
from ragindex_db.engine import AsyncDatabase
from ragindex_db.ledger import QueryRun, Turn, Usage

NO_EVIDENCE = "The documents of this index do not answer this question."
_BLOCKED = "A guardrail of the language model's provider stopped this answer."
_BLOCKING_STOPS = frozenset({"content_filter", "guardrail_intervened"})
_CONTEXT_TOKENS = 6000
_CANCELLED = "Cancelled"  # the outcome of a run whose asker left; no answer says it
_ESTIMATE = EstimatingTokenizer()


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything before the first word: ``passages`` are marked from 1 and verified; none without evidence."""

    index: ServingIndex
    request: AnswerRequest
    found: Found
    passages: tuple[Passage, ...]
    wording: Wording
    turns: tuple[Turn, ...]
    conversation_id: str
    embedding_tokens: int
    started: float


@dataclass(slots=True)
class _Said:
    """The answer as it grows."""

    text: str = ""
    citations: tuple[Citation, ...] = ()
    outcome: AnswerOutcome = AnswerOutcome.NO_EVIDENCE
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    invented: int = 0
    degraded: str | None = None
    asked: tuple[str, GenerationRequest] | None = None  # the model that was asked, while it has not told what it used

    def take(self, events: Sequence[GateEvent]) -> None:
        for event in events:
            if isinstance(event, AnswerText):
                self.text += event.text
            else:
                self.citations = (*self.citations, event)


class Answering:
    def __init__(
        self,
        database: AsyncDatabase,
        catalogue: Catalogue,
        retrieval: Retrieval,
        generators: Generators,
        recorder: Recorder,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._retrieval = retrieval
        self._generators = generators
        self._recorder = recorder
        self._metrics = metrics
        self._follow_up = FollowUp()
        prompt = files("ragindex_core") / "prompts" / "answer.md"
        self._template = PromptTemplate.parse(prompt.read_text("utf-8"))

    async def prepare(self, index: ServingIndex, request: AnswerRequest) -> Prepared:
        """Search and judge. What can be refused is refused here, before anything is said."""
        started = perf_counter()
        index.answering()
        turns = await self._turns(index, request.conversation_id)
        languages = await self._catalogue.languages(index)
        found, passages, wording = await self._look(index, request, request.question, languages)
        tokens = found.embedding_tokens
        if not passages and leans(query_terms(request.question, languages), turns):
            question = joined(request.question, turns)
            found, passages, wording = await self._look(index, request, question, languages)
            tokens += found.embedding_tokens
        return Prepared(
            index=index,
            request=request,
            found=found,
            passages=passages,
            wording=wording,
            turns=turns,
            conversation_id=request.conversation_id or str(uuid.uuid4()),
            embedding_tokens=tokens,
            started=started,
        )

    async def answer(self, prepared: Prepared) -> dict[str, Any]:
        """The whole answer at once."""
        async with aclosing(self.events(prepared)) as events:
            async for event in events:
                if event.name == "done":
                    return event.data
        raise AssertionError("events end with done, or raise")

    async def events(self, prepared: Prepared) -> AsyncGenerator[Event, None]:
        """``retrieval``, then ``token`` and ``citation`` as they come, ``done`` at last. Closing it stops the model."""
        yield Event("retrieval", _retrieval(prepared))
        said = _Said(degraded=prepared.found.degraded)
        began = perf_counter()
        try:
            async with aclosing(self._say(prepared, said)) as parts:
                async for part in parts:
                    for event in part:
                        yield _event(event, prepared)
        except (asyncio.CancelledError, GeneratorExit):
            self._left(prepared, said)
            raise
        timings = dict(prepared.found.timings)
        self._metrics.staged("generate", perf_counter() - began, timings)
        self._metrics.staged("answer", perf_counter() - prepared.started, timings)
        timings["total"] = timings.pop("answer")
        await self._remember(prepared, said, timings["total"])
        yield Event("done", _response(prepared, said, timings))

    async def _turns(self, index: ServingIndex, conversation_id: str | None) -> tuple[Turn, ...]:
        if conversation_id is None:
            return ()
        about = await self._database.run(ledger.conversation_index, conversation_id)
        if about is not None and about != index.row.id:
            raise NotFound(f"the index {index.row.full_name} has no conversation {conversation_id}")
        return tuple(await self._database.run(ledger.turns, index.row.id, conversation_id, TURNS))

    async def _look(
        self, index: ServingIndex, request: AnswerRequest, question: str, languages: tuple[str | None, ...]
    ) -> tuple[Found, tuple[Passage, ...], Wording]:
        """What was found for the question, and of it what is evidence."""
        query = SearchRequest(query=question, filter=request.filter, top_k=request.top_k)
        [found] = await self._retrieval.search(index, [query], record=False)
        self._retrieval.record_embedding(index, found)
        chunks = [hit.chunk for hit in found.result.hits]
        terms = query_terms(question, languages)
        weights: dict[str, float] = {}
        intact: set[int] = set()
        if chunks:
            tables = found.revision.row.tables
            async with self._database.begin() as connection:
                weights = await connection.run_sync(serving.term_weights, tables, terms)
                intact = await connection.run_sync(serving.verified, chunks)
        wording = Wording(question, (*languages, None), TermWeights(weights))
        passages = tuple(each for each in _passages(index, found) if _number(each) in intact)
        wording = wording.mended(term for each in passages for term in terms_of(each.text, each.language))
        calibration = CALIBRATIONS.get(found.revision.embedding.model, UNCALIBRATED)
        evidence = judge(wording, passages, calibration)
        return found, tuple(select_context(passages, _CONTEXT_TOKENS)) if evidence.found else (), wording

    async def _say(self, prepared: Prepared, said: _Said) -> AsyncGenerator[Sequence[GateEvent], None]:
        if not prepared.passages:
            said.take(text := [AnswerText(NO_EVIDENCE)])
            yield text
            return
        try:
            generator = self._generators.of(prepared.index.spec.generation)
            if generator is not None:
                async with aclosing(self._generate(generator, prepared, said)) as parts:
                    async for part in parts:
                        yield part
                return
        except (Unavailable, ProviderRefused) as error:
            if said.text:
                raise  # a second answer cannot follow the beginning of a first
            because = f"no language model answered ({error}); these are the best passages"
            said.degraded = f"{said.degraded}; {because}" if said.degraded else because
            self._metrics.degraded.inc()
        for each in self._extract(prepared, said):
            yield [each]

    async def _generate(
        self, generator: Generator, prepared: Prepared, said: _Said
    ) -> AsyncGenerator[Sequence[GateEvent], None]:
        spec = prepared.index.spec.generation
        question = self._follow_up.asked(prepared.request.question, prepared.turns)
        prompt = build_prompt(question, prepared.passages, self._template, spec.language, max_tokens=spec.max_tokens)
        gate = MarkerGate(prepared.passages, prepared.request.question)
        stop = ""
        stream = generator.stream(prompt)
        said.asked = (generator.name, prompt)
        try:
            async for event in stream:
                if isinstance(event, TextDelta):
                    events = gate.feed(event.text)
                    said.take(events)
                    yield events
                elif isinstance(event, GenerationDone):
                    said.model, stop, said.asked = event.model, event.stop_reason, None
                    said.input_tokens, said.output_tokens = event.input_tokens, event.output_tokens
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        events = gate.close()
        said.take(events)
        yield events
        said.invented = gate.invented
        if stop in _BLOCKING_STOPS:
            said.outcome = AnswerOutcome.BLOCKED
            if not said.text:
                said.take(text := [AnswerText(_BLOCKED)])
                yield text
        elif said.citations:
            said.outcome = AnswerOutcome.ANSWERED
        elif not said.text.strip():
            said.take(text := [AnswerText(NO_EVIDENCE)])
            yield text

    def _extract(self, prepared: Prepared, said: _Said) -> list[GateEvent]:
        extracted = extract(prepared.wording, prepared.passages)
        if not extracted.citations:
            events: list[GateEvent] = [AnswerText(NO_EVIDENCE)]
        else:
            said.outcome = AnswerOutcome.EXTRACTIVE
            events = [AnswerText(extracted.text), *extracted.citations]
        said.take(events)
        return events

    def _left(self, prepared: Prepared, said: _Said) -> None:
        """What is remembered of an answer that nobody waited for: the tokens it took are paid for all the same.

        A provider tells them only at the end, so what it had read and said by then is estimated.
        """
        if said.asked is not None:
            said.model, prompt = said.asked
            said.input_tokens, said.output_tokens = _tokens(prompt.system, prompt.user), _tokens(said.text)
        self._record(prepared, said, _CANCELLED, (perf_counter() - prepared.started) * 1000)

    async def _remember(self, prepared: Prepared, said: _Said, milliseconds: float) -> None:
        document_ids = self._record(prepared, said, said.outcome.value, milliseconds)
        row, found = prepared.index.row, prepared.found
        await self._database.run(
            ledger.add_turn,
            index_id=row.id,
            namespace=row.namespace,
            conversation_id=prepared.conversation_id,
            run_id=found.run_id,
            turn=Turn(prepared.request.question, said.text),
            document_ids=document_ids,
        )

    def _record(self, prepared: Prepared, said: _Said, outcome: str, milliseconds: float) -> list[int]:
        row, found = prepared.index.row, prepared.found
        document_ids = sorted({int(passage.document.id) for passage in prepared.passages})
        self._metrics.answers.labels(outcome).inc()
        self._metrics.markers_removed.inc(said.invented)
        self._recorder.record(
            QueryRun(found.run_id, row.id, found.revision.id, "Answer", outcome, milliseconds, document_ids)
        )
        if said.model is not None:
            self._metrics.tokens.labels("generation", "input").inc(said.input_tokens)
            self._metrics.tokens.labels("generation", "output").inc(said.output_tokens)
            self._recorder.record(
                Usage(row.id, row.namespace, "Generation", said.model, said.input_tokens, said.output_tokens)
            )
        return document_ids


def _tokens(*texts: str) -> int:
    return sum(counts(texts, _ESTIMATE))


def _passages(index: ServingIndex, found: Found) -> list[Passage]:
    passages = []
    for marker, hit in enumerate(found.result.hits, start=1):
        chunk, document = hit.chunk, hit.chunk.document
        passages.append(
            Passage(
                marker=marker,
                index=index.row.full_name,
                chunk_id=shaping.chunk_id(found.revision.id, chunk.chunk_id),
                document=DocumentRef(str(document.id), document.uri, document.title, document.version),
                location=chunk.location,
                headings=tuple(chunk.headings),
                span=chunk.span,
                text=chunk.text,
                cosine=hit.scores.vector,
                score=hit.score,
                language=chunk.language,
            )
        )
    return passages


def _number(passage: Passage) -> int:
    return int(passage.chunk_id.rpartition("-")[2])


def _retrieval(prepared: Prepared) -> dict[str, Any]:
    found = prepared.found
    body: dict[str, Any] = {
        "run_id": found.run_id,
        "conversation_id": prepared.conversation_id,
        "revision": found.revision.wire,
        "passages": [
            {
                "chunk_id": each.chunk_id,
                "document": shaping.document_ref(each.document),
                "location": shaping.location(each.location, each.headings),
                "span": shaping.span(each.span),
                "score": each.score,
            }
            for each in prepared.passages
        ],
        "timings": found.timings,
    }
    return {**body, "degraded": found.degraded} if found.degraded else body


def _event(event: GateEvent, prepared: Prepared) -> Event:
    if isinstance(event, AnswerText):
        return Event("token", {"text": event.text})
    return Event("citation", _citation(event, prepared))


def _citation(each: Citation, prepared: Prepared) -> dict[str, Any]:
    # The markers of an answer count its own citations, not the passages it was made from.
    headings = next((p.headings for p in prepared.passages if p.chunk_id == each.chunk_id), ())
    return shaping.citation(each, headings)


def _response(prepared: Prepared, said: _Said, timings: dict[str, float]) -> dict[str, Any]:
    found = prepared.found
    # What a local model computes and what was remembered costs nothing; other prices are not known.
    paid = said.model is not None or (prepared.embedding_tokens and found.revision.embedding.provider != "Local")
    body: dict[str, Any] = {
        "answer": said.text,
        "outcome": said.outcome.value,
        "citations": [_citation(each, prepared) for each in said.citations],
        "model": said.model,
        "revision": found.revision.wire,
        "run_id": found.run_id,
        "conversation_id": prepared.conversation_id,
        "usage": {
            "embedding_tokens": prepared.embedding_tokens,
            "input_tokens": said.input_tokens,
            "output_tokens": said.output_tokens,
            "markers_removed": said.invented,
        },
        "cost": None if paid else {"usd": 0.0, "price_version": "free"},
        "timings": timings,
    }
    return {**body, "degraded": said.degraded} if said.degraded else body
