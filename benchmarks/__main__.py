"""``python -m benchmarks run [--quick] [--data DIR] [--out DIR] [SUITE…]``"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.run import APART, PUBLISHED, SUITES, run
from ragindex_core.errors import RagIndexError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure RagIndex on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    told = commands.add_parser("run", help="run suites, print their figures, and keep them")
    told.add_argument(
        "suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}; without a name all but {', '.join(APART)}"
    )
    told.add_argument("--quick", action="store_true", help="smaller data and shorter runs: figures to get a feeling by")
    told.add_argument("--data", type=Path, metavar="DIR", help="keep the database here and use it again")
    told.add_argument("--out", type=Path, metavar="DIR", help="where the figures and charts go")
    given = parser.parse_args()
    unknown = [name for name in given.suites if name not in SUITES]
    if unknown:
        parser.error(f"there is no suite {unknown[0]}: choose from {', '.join(SUITES)}")
    out = given.out or (ROOT / "benchmarks" / "results" / "quick" if given.quick else PUBLISHED)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped and removed all the same
    try:
        return run(
            given.suites or [name for name in SUITES if name not in APART], quick=given.quick, data=given.data, out=out
        )
    except RagIndexError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
