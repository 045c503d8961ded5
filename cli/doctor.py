"""`postroom doctor`: is everything there that email depends on?"""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ..domain.check import Check, Result
from ..domain.errors import SettingsError
from ..services import rules
from .exits import ExitCode
from .operating import AsJson, services
from .output import put_json, put_table

app = typer.Typer()

#: The checks whose failure means that a store is away.
_STORES = {rules.MONGODB.name, rules.REDIS.name}


@app.command()
def doctor(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Look at stores, processes, providers and emails, and say what to do.

    Exit code 0 also with warnings, 1 if a check failed, 3 if a store is away.
    """
    checks = _examine(context)
    if as_json:
        put_json(
            {
                "object": "doctor",
                "result": _worst(checks).value,
                "checks": [_document(check) for check in checks],
            }
        )
    else:
        put_table(
            ("check", "result", "found", "do"),
            [(c.name, c.result, c.found, c.do) for c in checks],
        )
    code = _exit_code(checks)
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def _examine(context: typer.Context) -> Sequence[Check]:
    try:
        given = services(context)
    except SettingsError as ex:
        # Without settings nobody knows where the rest is.
        return [rules.SETTINGS.refuse(fault, "mend it") for fault in ex.faults]
    return given.doctor()


def _document(check: Check) -> dict[str, str]:
    return {
        "name": check.name,
        "result": check.result.value,
        "found": check.found,
        "do": check.do,
    }


def _worst(checks: Sequence[Check]) -> Result:
    found = {check.result for check in checks}
    return next(result for result in reversed(Result) if result in found)


def _exit_code(checks: Sequence[Check]) -> ExitCode:
    failed = {c.name for c in checks if c.result.is_worse_than(Result.WARN)}
    if failed & _STORES:
        return ExitCode.AWAY
    return ExitCode.FAILED if failed else ExitCode.DONE
