"""The process that tries texts: `python -m daskingest.service.trial_process MODEL SECONDS`.

It reads texts from its standard input and answers on its standard output, a line of JSON each, the
first one when the model is loaded. It ends when its input does, so also when whoever started it is
killed, and when a text takes longer than so many seconds. It has no more memory than a worker.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import sys
import threading
from typing import TextIO

from daskingest.errors import UsageError
from daskingest.extraction import entities_in

_MEMORY = 4 << 30  # bytes; ten times what the usual models take


def main(model: str, seconds: float) -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that started it
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model prints is no answer
    texts: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(texts,), daemon=True).start()
    _answer(answers, model, "")
    while True:
        text = texts.get()
        # The system ends the process then, whatever code runs in it.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _answer(answers, model, text)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read(texts: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        texts.put(json.loads(line))
    os._exit(0)


def _answer(answers: TextIO, model: str, text: str) -> None:
    answer: dict[str, object]
    try:
        answer = {"entities": entities_in(text, model)}
    except MemoryError:
        answer = {"error": f"it takes more than {_MEMORY >> 30} GiB of memory", "usage": False}
    except Exception as error:
        answer = {"error": str(error), "usage": isinstance(error, UsageError)}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
