"""The process of one contender: prepares once, then takes a turn for each line it is sent.

Answers are lines of JSON on the standard output; whatever libraries print goes to standard error.
"""

import json
import os
import sys
import traceback
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

from benchmarks.contenders.turn import Run, Work


def main() -> None:
    """Serve turns until the standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(message: dict[str, object]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    try:
        with prepare(json.loads(sys.argv[1])) as run:
            answer({"ready": True})
            for _ in sys.stdin:
                answer(run()._asdict())
    except Exception as error:
        traceback.print_exc()
        first_line = str(error).partition("\n")[0]
        answer({"error": f"{type(error).__name__}: {first_line}"})


def prepare(request: dict[str, object]) -> AbstractContextManager[Run]:
    """Find the contender's context manager and hand it its work."""
    module, name = str(request["prepare"]).split(":")
    contender = getattr(import_module(module), name)
    options = request["options"]
    assert isinstance(options, dict)
    return contender(Work(Path(str(request["folder"])), options))


if __name__ == "__main__":
    main()
