"""gunicorn's settings: `gunicorn -c python:postroom.http.server`.

A composition root like `wsgi.py`: the master reads the environment here, once, before
there is an application.
"""

from __future__ import annotations

import os

from ..adapters import logs
from ..adapters.settings import Settings
from ..domain.errors import SettingsError
from .draining import DrainingWorker, note_reload


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

#: It would leave a socket in the home directory.
control_socket_disable = True

#: Our own line says more and never a path.
accesslog = None


def on_starting(_arbiter: object) -> None:
    """Let the master log like all our processes; its workers inherit it."""
    logs.configure(_read.env, secrets=_read.secrets)


def on_reload(arbiter: object) -> None:
    """Tell the workers of now, and undo what gunicorn has just done to the logs."""
    note_reload(arbiter)
    logs.configure(_read.env, secrets=_read.secrets)
