"""The page for readers: our own files, and no inline script."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.web.stand import Stand

#: Of swagger-ui-dist 5.35.0, as npm has it (docs/adr/0012).
SWAGGER_UI = {
    "swagger-ui-bundle.js": (
        "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2"
    ),
    "swagger-ui.css": (
        "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d"
    ),
}


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/api/docs"])
def test_the_page_loads_nothing_but_our_own_files(stand: Stand, path: str) -> None:
    page = stand.get(path)

    assert page.headers["Content-Type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    for address in loaded:
        assert address == "data:," or stand.get(address).status_code == 200
    assert "/docs/assets/swagger-ui-bundle.js" in loaded
    assert not re.search(r"<script(?![^>]* src=)", page.text)
    assert not re.search(r"\son\w+=|<style|\sstyle=", page.text)


def test_the_pages_policy_admits_our_scripts_only(stand: Stand) -> None:
    policy = stand.get("/docs").headers["Content-Security-Policy"]

    assert "script-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize(("name", "sha256"), SWAGGER_UI.items())
def test_swagger_ui_is_what_its_makers_published(
    stand: Stand, name: str, sha256: str
) -> None:
    asset = stand.get(f"/docs/assets/{name}")

    assert hashlib.sha256(asset.content).hexdigest() == sha256
    assert asset.headers["Cache-Control"] == "public, max-age=3600"


@pytest.mark.parametrize(
    "name", ["app.py", "..%2Fapp.py", "..", "docs.html", "swagger-ui-bundle.js.map"]
)
def test_nothing_else_is_served(stand: Stand, name: str) -> None:
    assert stand.get(f"/docs/assets/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/api", "/api/", "/"])
def test_who_looks_for_the_api_is_sent_to_the_page(stand: Stand, path: str) -> None:
    answer = stand.get(path)

    assert answer.status_code == 302
    assert answer.headers["Location"] == "/docs"


def test_the_licence_of_swagger_ui_lies_beside_it(stand: Stand) -> None:
    folder = Path(__file__).parents[2] / "http/static/swagger-ui"

    assert "Apache License" in (folder / "LICENSE").read_text()
    assert "SmartBear" in (folder / "NOTICE").read_text()
    assert stand.get("/docs/assets/LICENSE").status_code == 200
