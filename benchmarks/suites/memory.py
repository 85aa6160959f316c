"""How much memory ingestion takes, however much there is to ingest. Not part of a run of all suites: it takes hours."""

from __future__ import annotations

from benchmarks import ingestion
from benchmarks.ingestion import Told
from benchmarks.results import Bars, Figure, Outcome, at_most
from benchmarks.stage import Stage, say

_MOST_MIB = 600


def run(stage: Stage, *, quick: bool) -> Outcome:
    # By name: so many files, of so many paragraphs each.
    folders = (
        {"small files": (1_000, 1), "large files": (4, 3_500)}
        if quick
        else {"small files": (100_000, 1), "large files": (200, 3_500)}
    )
    figures: list[Figure] = []
    rows: list[tuple[str, float]] = []
    for name, (files, sections) in folders.items():
        with ingestion.folder_index(stage, files, sections=sections) as index:
            told = ingestion.drained(stage, index)
            chunks = index.counts.chunks
        say(f"{name}: {chunks:,} chunks, {_peak(told):.0f} MiB")
        title = f"{files:,} {name}"
        figures += [
            Figure(
                f"{title}: peak of worker and parser", _peak(told), "MiB", at_most(_MOST_MIB), note=f"{chunks:,} chunks"
            ),
            Figure(
                f"{title}: the worker's peak as a multiple of its peak at a quarter",
                told.peak_mib / max(told.early_mib, 1),
                "",
                ratio=True,
                note=f"{told.early_mib:.0f} MiB then",
            ),
        ]
        rows += [(f"{title}: worker", told.peak_mib), (f"{title}: parser", told.parser_peak_mib)]
    return Outcome(
        data=", ".join(f"{files:,} {name} of {sections:,} paragraphs" for name, (files, sections) in folders.items()),
        figures=figures,
        charts={"memory": Bars("Most memory that ingestion took", "MiB", rows)},
    )


def _peak(told: Told) -> float:
    return told.peak_mib + told.parser_peak_mib
