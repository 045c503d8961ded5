"""What Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

import falcon

#: Names the folder of the counters to Prometheus's library; `server.py` sets it before
#: anything imports that, for all workers.
COUNTERS = "PROMETHEUS_MULTIPROC_DIR"

#: Returns the text and its content type for an `Accept` header.
MetricsPage = Callable[[str], tuple[bytes, str]]


class Metrics:
    """`GET /metrics`: the same from each process behind the port."""

    #: A key of its own opens it, so that a monitor needs none that can send email.
    for_monitors = True

    def __init__(self, page: MetricsPage) -> None:
        self._page = page

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show all metrics in the form that is asked for."""
        resp.data, resp.content_type = self._page(req.get_header("Accept") or "")
