"""gunicorn's settings: `gunicorn -c python:postroom.http.server`.

A composition root like `wsgi.py`: the master reads the environment here, once, before
there is an application.
"""

from __future__ import annotations

import os
import shutil
import tempfile

from ..adapters import logs
from ..adapters.settings import Settings
from ..domain.errors import SettingsError
from .draining import DrainingWorker, note_reload
from .metrics import COUNTERS


def _settings() -> Settings:
    try:
        return Settings.from_env(os.environ)  # noqa: TID251 - a composition root
    except SettingsError as ex:
        # All faults in plain sight instead of a traceback from gunicorn.
        raise SystemExit("\n".join(("settings:", *ex.faults))) from ex


_read = _settings()

bind = f"0.0.0.0:{_read.port}"
workers = _read.web_concurrency

worker_class = DrainingWorker
#: A thread waits for MongoDB's disk most of the time.
threads = 16

#: In seconds; more than the 15 of common load balancers, so that it is they who
#: close an idle connection.
keepalive = 30

#: In seconds without a sign of life from a worker's loop, whatever its threads do.
timeout = 30

#: In seconds, counted from SIGTERM by the master; under the 30 that hosts give.
graceful_timeout = 25

# Bounds on what is read before the application sees anything.
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190

#: Nothing here asks by which way a request came, and whoever shares this machine could
#: move a request to another path (SCRIPT_NAME).
forwarded_allow_ips = ""

#: It would leave a socket in the home directory.
control_socket_disable = True

#: Our own line says more and never a path.
accesslog = None


#: Where the workers keep their counters, so that each can tell those of all.
_counters: list[str] = []


def on_starting(_arbiter: object) -> None:
    """Let the master log like all our processes; its workers inherit it.

    So they do the folder of the counters. It is a new one each time: what an earlier
    run has counted is over.
    """
    logs.configure(_read.env, secrets=_read.secrets)
    _counters.append(tempfile.mkdtemp(prefix="postroom-counters-"))
    os.environ[COUNTERS] = _counters[-1]  # noqa: TID251 - the library reads it there


def on_exit(_arbiter: object) -> None:
    """Take the counters away."""
    for folder in _counters:
        shutil.rmtree(folder, ignore_errors=True)


def on_reload(arbiter: object) -> None:
    """Tell the workers of now, and undo what gunicorn has just done to the logs."""
    note_reload(arbiter)
    logs.configure(_read.env, secrets=_read.secrets)
