"""`python -m tests.chaos`: schedules of faults, by their seeds or as they were printed."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

TESTS = Path(__file__).parent.parent


def main() -> int:
    """Run what is asked for; 1 if a schedule fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first schedule's")
    parser.add_argument("--count", type=int, default=1, help="how many schedules, one seed each")
    parser.add_argument("--schedule", help="one that was printed, instead of seeds")
    parser.add_argument("--repeat", type=int, default=1, help="do it so often")
    parser.add_argument(
        "--plant", type=lambda path: Path(path).resolve(), help="a folder of changes to the program"
    )
    parser.add_argument("--no-shrink", action="store_true", help="print failures as they are")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what happened")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends what it started
    sys.path.insert(0, str(TESTS))
    from chaos.faults import Impossible, Schedule, drawn
    from chaos.suite import Suite

    chosen = [drawn(seed) for seed in range(options.seed, options.seed + options.count)]
    if options.schedule:
        chosen = [Schedule.parse(options.schedule)]
    failed = 0
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-"))
        suite = stack.enter_context(closing(Suite(Path(folder) / "suite", options.plant)))
        for schedule in chosen * options.repeat:
            try:
                outcome = suite.run(schedule)
            except Impossible as why:
                print(f"skipped: {schedule}: {why}")
                continue
            failed += bool(outcome.problem)
            verdict = "FAILED" if outcome.problem else "ok"
            print(f"{verdict} {outcome.seconds:.0f} s: {schedule}", flush=True)
            if options.verbose or outcome.problem:
                print(outcome, flush=True)
            if outcome.problem and not options.no_shrink and len(schedule.faults) > 1:
                print(f"shrunk to: {suite.shrunk(outcome)}", flush=True)
    print(f"{len(chosen) * options.repeat - failed} hold, {failed} fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
