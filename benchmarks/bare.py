"""The bare stack: what Falcon, the two drivers and Dramatiq cost without a product.

It reads JSON, inserts one document with the same write concern, enqueues one message
and answers. Run by gunicorn with the product's own settings:

    gunicorn -c python:postroom.http.server 'benchmarks.bare:create()'
"""

from __future__ import annotations

import os

import falcon
import redis
from bson import ObjectId
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from pymongo import MongoClient
from pymongo.collection import Collection


class Emails:
    """Takes what it is given."""

    def __init__(
        self, emails: Collection[dict[str, object]], broker: RedisBroker
    ) -> None:
        self._emails = emails
        self._broker = broker

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Insert, enqueue, answer."""
        email_id = ObjectId()
        self._emails.insert_one({"_id": email_id, **req.get_media()})
        self._broker.enqueue(
            Message(
                queue_name="bare",
                actor_name="bare",
                args=(str(email_id),),
                kwargs={},
                options={},
            )
        )
        resp.status = falcon.HTTP_201
        resp.media = {"id": str(email_id)}


def create() -> falcon.App:
    """Return the application; nothing is connected before the first request."""
    client: MongoClient[dict[str, object]] = MongoClient(
        os.environ["MONGODB_URI"], w="majority", journal=True, connect=False
    )
    broker = RedisBroker(
        client=redis.Redis.from_url(os.environ["REDIS_URL"]), middleware=[]
    )
    app = falcon.App()
    emails = client.get_default_database("postroom")["bare"]
    app.add_route("/api/emails", Emails(emails, broker))
    return app
