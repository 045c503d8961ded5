"""How much memory one web process takes for the largest bodies of each form.

.venv/bin/python -m tests.memory, with 16 of each at once.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.memory.bodies import FORMS
from tests.memory.measure import AT_ONCE, Memory, a_web_process, at_once, post

_MB = 1 << 20


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, a_web_process(Path(folder)) as web:
        memory = Memory(web)
        print(f"idle: {memory.now() // _MB} MB")
        print(f"{AT_ONCE} at once | body, MB | peak, MB | seconds | answers")
        for name, make in FORMS.items():
            body = make()
            memory.forget_peak()
            told, took = at_once(web.port, body)
            peak = memory.peak() // _MB
            size = len(body) // _MB
            print(f"{name} | {size} | {peak} | {took:.1f} | {dict(told)}", flush=True)
        for chunked in (False, True):
            memory.forget_peak()
            status = post(web.port, bytes(_MB), chunked=chunked, times=1024)
            how = "in chunks" if chunked else "with its length"
            print(f"1 GB {how}: {memory.peak() // _MB} MB, {status}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
