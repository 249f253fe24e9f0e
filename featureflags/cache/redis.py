"""django-redis with what a coherent cache needs beside it: an atomic replace, and batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_redis.cache import RedisCache
from django_redis.serializers.base import BaseSerializer

REPLACE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 1
end
return 0
"""


class SharedRedisCache(RedisCache):  # type: ignore[misc]  # django-redis' base is untyped here
    """django-redis' backend with `replace`. It raises when Redis is down, if told to."""

    def replace(
        self, key: str, old: Any, new: Any, timeout: float, version: int | None = None
    ) -> bool:
        """Write `new` for `timeout` seconds, but only where `old` stands now. Atomic."""
        client = self.client
        redis = client.get_client(write=True)
        name = client.make_key(key, version=version)
        milliseconds = max(1, int(timeout * 1000))
        return bool(
            redis.eval(REPLACE, 1, name, client.encode(old), client.encode(new), milliseconds)
        )

    def add_many(
        self, values: Mapping[str, Any], timeout: float, version: int | None = None
    ) -> int:
        """Write those that are not there, for `timeout` seconds, in one round trip; how many."""
        client = self.client
        milliseconds = max(1, int(timeout * 1000))
        with client.get_client(write=True).pipeline(transaction=False) as pipeline:
            for key, value in values.items():
                name = client.make_key(key, version=version)
                pipeline.set(name, client.encode(value), px=milliseconds, nx=True)
            return sum(map(bool, pipeline.execute()))

    def replace_many(
        self, values: Mapping[str, tuple[Any, Any]], timeout: float, version: int | None = None
    ) -> int:
        """`replace` for each key (old and new value), in one round trip; how many were written."""
        client = self.client
        milliseconds = max(1, int(timeout * 1000))
        with client.get_client(write=True).pipeline(transaction=False) as pipeline:
            for key, (old, new) in values.items():
                name = client.make_key(key, version=version)
                pipeline.eval(
                    REPLACE, 1, name, client.encode(old), client.encode(new), milliseconds
                )
            return sum(pipeline.execute())


class BytesSerializer(BaseSerializer):  # type: ignore[misc]  # django-redis' base is untyped here
    """Bytes as they are: what the snapshot store writes is encoded already."""

    def dumps(self, value: Any) -> bytes:
        if not isinstance(value, bytes):
            raise TypeError(f"This cache holds bytes, not {type(value).__name__}.")
        return value

    def loads(self, value: bytes) -> bytes:
        return value
