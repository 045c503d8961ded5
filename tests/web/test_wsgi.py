"""What the settings say about the HTTP side."""

import pytest

from postroom.adapters.settings import Settings
from postroom.http.auth import digest
from postroom.http.wsgi import options_of

KEY = "pr_live_" + "k" * 32


def test_the_settings_reach_the_options() -> None:
    settings = Settings.from_env(
        {
            "POSTROOM_ENV": "production",
            "POSTROOM_API_KEY": KEY,
            "POSTROOM_DEFAULT_FROM": "Acme <me@acme.example>",
            "POSTROOM_CORS_ORIGINS": "https://app.example",
            "POSTROOM_MAX_BODY_MB": "2",
        }
    )

    options = options_of(settings)

    assert options.api_key == digest(KEY)
    assert options.default_from is not None
    assert options.default_from.addr_spec == "me@acme.example"
    assert options.cors_origins == ("https://app.example",)
    assert options.limits.body_bytes == 2 * 1024 * 1024
    assert not options.development


@pytest.mark.parametrize(
    ("env", "shown"), [("development", True), ("production", False)]
)
def test_only_development_shows_the_sandbox(env: str, shown: bool) -> None:
    settings = Settings.from_env({"POSTROOM_ENV": env, "POSTROOM_API_KEY": KEY})

    assert options_of(settings).development is shown
