"""Logs of a whole process: events with fields, one line each, on standard error.

Ours (structlog) and the libraries' (standard logging) take the same way: one handler,
one formatter, one redactor. A log call never raises: mail is worth more than a line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .quick_lines import QuickLines
from .redaction import Redactor
from .secret import Secret
from .settings_table import Environment
from .traces import told

__all__ = ["configure"]

#: They tell of each connection and each command.
_CHATTY = ("urllib3", "pymongo", "redis", "asyncio")

#: gunicorn gives these handlers of their own and lets nothing pass on.
_OWN_HANDLERS = ("gunicorn.error", "gunicorn.access")

#: Control characters: a provider's words must not move a terminal's cursor.
_CONTROLS = {
    code: f"\\x{code:02x}"
    for code in (*range(0x20), *range(0x7F, 0xA0))
    if chr(code) not in "\n\t"
}


def configure(
    env: Environment,
    *,
    secrets: Iterable[Secret] = (),
    level: int = logging.INFO,
) -> None:
    """Set the logs of this process up; called once by its composition root.

    JSON lines in production, coloured words in development. Called again (a forked
    worker, a test) it replaces what it did before.

    Args:
        env: Decides on the form.
        secrets: Their values appear in no line.
        level: The least that is logged, for our own events and the libraries'.
    """
    handler = _StandardError()
    redactor = Redactor(secrets)
    formatter = _formatter(env, redactor)
    if env is Environment.PRODUCTION:
        formatter = QuickLines(formatter, redactor)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        # The plain ones that `logging.basicConfig` of the dramatiq and periodiq
        # commands put there, or our own; not a test runner's, which are subclasses.
        if type(old) in {logging.StreamHandler, _StandardError}:
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    _note_less()
    # Whatever can fail runs in the handler, where failing is caught.
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _note_less() -> None:
    """Let records be made without what no line shows: it is looked for each time.

    These are logging's own switches, which its documentation names for this.
    """
    logging._srcfile = None  # noqa: SLF001 - there is no other
    logging.logThreads = False
    logging.logMultiprocessing = False


class _StandardError(logging.Handler):
    """Writes to what is standard error at that moment, and never raises.

    Dramatiq puts a pipe there in each worker process, after the import of this
    module; one write for each line keeps the lines of several processes whole.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, without waiting for other threads: lines stay whole."""
        is_wanted = bool(self.filter(record))
        if is_wanted:
            self.emit(record)
        return is_wanted

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as ex:  # noqa: BLE001 - the event still counts
            line = _unformattable(record, ex)
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001, S110 - broken pipe, full disk: no place to tell
            pass


def _unformattable(record: logging.LogRecord, ex: Exception) -> str:
    return json.dumps(
        {
            "event": "log.failed",
            "level": record.levelname.lower(),
            "logger": record.name,
            "error": type(ex).__name__,
        },
    )


def _formatter(env: Environment, redactor: Redactor) -> logging.Formatter:
    # The names of fields are few, and always the same.
    redacted_name = lru_cache(maxsize=512)(redactor.text)

    def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {
            redacted_name(name): redactor.value(value) for name, value in event.items()
        }

    production = env is Environment.PRODUCTION
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _drop_formatted],
        processors=[
            _add_origin,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tell_exception,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact,
            *(_json() if production else _words()),
        ],
    )


def _add_origin(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    event["pid"] = record.process
    return event


def _tell_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Write an exception down: richer ways print variables, and with them emails."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    ex = found[1] if isinstance(found, tuple) else found
    if isinstance(ex, BaseException):
        event["exception"] = told(ex)
    return event


def _drop_formatted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take out what another handler's formatter has left on the record."""
    for name in ("message", "asctime"):
        event.pop(name, None)
    return event


def _json() -> Sequence[Processor]:
    return [structlog.processors.JSONRenderer()]


def _words() -> Sequence[Processor]:
    def tame(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        del event["pid"]
        return {
            name: value.translate(_CONTROLS) if isinstance(value, str) else value
            for name, value in event.items()
        }

    return [
        tame,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr is not None and sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]
