"""Environments to read settings from."""

import pytest

from postroom.adapters.settings import Settings
from postroom.domain.errors import SettingsError

#: The least that production starts with, without a warning.
PRODUCTION = {
    "POSTROOM_ENV": "production",
    "POSTROOM_API_KEY": "pr_live_0123456789abcdef",
    "POSTROOM_PROVIDERS": "sendgrid",
    "SENDGRID_API_KEY": "SG.key",
    "MONGODB_URI": "mongodb+srv://user:pass@db.example.com/mail",
    "REDIS_URL": "rediss://:pass@redis.example.com:6380/1",
}


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return caught.value.faults
