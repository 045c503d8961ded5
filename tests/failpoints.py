"""Arming failpoints from a test, in a folder that its processes share."""

from __future__ import annotations

import uuid
from pathlib import Path


def arm(folder: Path, point: str, *, order: str = "kill", match: str = "") -> Path:
    """Arm a point for one process to reach it; the file is gone when one has.

    Args:
        folder: What ``POSTROOM_FAILPOINTS_DIR`` names.
        point: Its full name.
        order: ``kill`` or ``stop``.
        match: Only in a call that shows this text, an email's id for example.

    Returns:
        The file.
    """
    armed = folder / point
    # Written elsewhere first: nobody is to read half of it.
    whole = folder / f"{uuid.uuid4().hex}.new"
    whole.write_text(f"{order} {match}")
    whole.rename(armed)
    return armed
