"""The API's description, and Swagger UI over it from our own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import falcon

_HERE = Path(__file__).parent

#: The page loads our files and calls our API; the pictures are in the style sheet.
#: Swagger UI sets styles by script, which needs no leave for inline ones.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

#: What the page may load, by name: no path leads out of this table.
_ASSETS: Mapping[str, tuple[Path, str]] = {
    "swagger-ui.css": (_HERE / "static/swagger-ui/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": (
        _HERE / "static/swagger-ui/swagger-ui-bundle.js",
        "text/javascript",
    ),
    "docs.js": (_HERE / "static/docs.js", "text/javascript"),
    "LICENSE": (_HERE / "static/swagger-ui/LICENSE", "text/plain"),
}


class Description:
    """`GET /openapi.json`."""

    is_open = True

    def __init__(self, document: bytes) -> None:
        self._document = document

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Give the OpenAPI document."""
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._document


class Page:
    """`GET /docs`."""

    is_open = True

    def __init__(self) -> None:
        self._page = (_HERE / "templates/docs.html").read_bytes()

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Give the page that loads Swagger UI."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", _PAGE_POLICY)
        resp.data = self._page


class Asset:
    """`GET /docs/assets/NAME`."""

    is_open = True

    def __init__(self) -> None:
        self._files = {
            name: (path.read_bytes(), f"{media_type}; charset=utf-8")
            for name, (path, media_type) in _ASSETS.items()
        }

    def on_get(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Give one of the page's files."""
        if name not in self._files:
            raise falcon.HTTPNotFound
        resp.data, resp.content_type = self._files[name]
        resp.cache_control = ["public", "max-age=3600"]


class ToDocs:
    """`GET /api`: where a browser ends up that looks for the API."""

    is_open = True

    def on_get(self, _req: falcon.Request, _resp: falcon.Response) -> None:
        """Send it to the page."""
        raise falcon.HTTPFound("/docs")
