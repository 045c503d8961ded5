"""What gunicorn serves in tests: the application over memory, slow on demand.

gunicorn -c python:postroom.http.server 'tests.web.served:create()'
"""

import time
from typing import Any

from postroom.adapters.memory_store import MemoryStore
from postroom.domain.email import Email
from postroom.http.options import Options
from tests.web.stand import Stand


class SleepyStore(MemoryStore):
    """Takes as long to insert as the email's metadata says."""

    def insert(self, email: Email) -> None:
        if email.content is not None:
            time.sleep(float(email.content.metadata.get("sleep_s", 0)))
        super().insert(email)


def create() -> Any:
    stand = Stand(options=Options(development=True), store=SleepyStore())
    stand.inbox.emails = [
        {
            "email_id": "0" * 24,
            "from": "Acme <hello@acme.example>",
            "recipients": ["ada@example.com"],
            "subject": "<b>Hi</b> & welcome",
            "text": "Hello <script>alert(1)</script>",
            "html": '<p style="color:green">"Green" text</p><img src=x '
            "onerror=\"document.title='owned'\"><script>parent.document.title='owned'"
            "</script>",
            "at": "2030-01-31T09:00:00Z",
            "provider": "sandbox",
        }
    ]
    return stand.app
