"""What happens to the processes between two looks, in words for the terminal."""

from dataclasses import dataclass
from http.client import HTTPException

from .supervision import ProcessState, Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One process that did not stay as it was."""

    name: str
    text: str


class Watch:
    """Remembers the processes as they were at the last look."""

    def __init__(self, supervisor: Supervisor) -> None:
        """Take what is seen first as right."""
        self._supervisor = supervisor
        self._last = supervisor.states()

    def changes(self) -> list[Change]:
        """Return the processes that ended, or were started again, since then."""
        try:
            now = self._supervisor.states()
        except (OSError, HTTPException):
            return []  # the caller sees for itself whether the supervisor is gone
        last, self._last = self._last, now
        found = []
        for name, state in now.items():
            text = _difference(last[name], state)
            if text:
                found.append(Change(name=name, text=f"{name} {text}"))
        return found


def _difference(last: ProcessState, now: ProcessState) -> str | None:
    if not now.is_up and now.state != "STOPPED":
        return None if last == now else f"ended and will start again ({now.detail})"
    if last.is_up and now.is_up and last.pid != now.pid:
        return f"ended and was started again (pid {now.pid})"
    return None
