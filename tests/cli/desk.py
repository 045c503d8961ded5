"""An operator's desk: the verbs over real servers, and what the world then shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from bson import ObjectId
from click.testing import Result
from pymongo.database import Database
from typer.testing import CliRunner

from postroom.adapters.mongo_store import MongoStore
from postroom.cli.main import app
from postroom.domain.email import Email
from tests.builders import an_email
from tests.servers import with_database

#: Two accounts that nothing is ever sent to: no worker runs here.
PROVIDERS = "alpha=sandbox,beta=sandbox"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The verbs, and the stores behind them."""

    database: Database[dict[str, Any]]
    redis: redis.Redis
    environ: Mapping[str, str]

    @property
    def store(self) -> MongoStore:
        return MongoStore(self.database)

    def run(self, *words: str) -> Result:
        """Type `postroom` and these words."""
        return CliRunner().invoke(app, list(words), env=dict(self.environ))

    def done(self, *words: str) -> str:
        """Run a verb that must succeed, and return what it printed."""
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str) -> Any:
        """Run a verb with --json, and return its one document."""
        return json.loads(self.done(*words, "--json"))

    def holds(self, email: Email) -> str:
        """Store an email as it is, and return its id."""
        self.store.insert(email)
        return email.email_id

    def stored(self, email_id: str) -> Email:
        email = self.store.load(email_id)
        assert email is not None
        return email


def environ(
    mongodb_uri: str, database: str, redis_url: str, **more: str
) -> dict[str, str]:
    return {
        "POSTROOM_ENV": "development",
        "MONGODB_URI": with_database(mongodb_uri, database),
        "REDIS_URL": redis_url,
        "POSTROOM_PROVIDERS": PROVIDERS,
        "POSTROOM_DEFAULT_FROM": "Acme <post@acme.example>",
        **more,
    }


def a_stored_email(*given: Any, **fields: Any) -> Email:
    """Give an email as if accepted just now, with an id of now."""
    now = datetime.now(UTC).replace(microsecond=0)
    new = {"email_id": str(ObjectId()), "created_at": now}
    return an_email(*given, **(new | fields))
