"""The LaunchDarkly SDK's own answer about segments, through its public client and store."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import ldclient
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.versioned_data_kind import FEATURES, SEGMENTS

from featureflags.core.types import JSONValue

LOGGER = logging.getLogger("ldclient")


def probe(segment_key: str) -> dict[str, Any]:
    """A flag that is true for the members of a segment."""
    clause = {"attribute": "", "op": "segmentMatch", "values": [segment_key]}
    return {
        "key": f"probe-{segment_key}",
        "version": 1,
        "on": True,
        "variations": [False, True],
        "fallthrough": {"variation": 0},
        "offVariation": 0,
        "rules": [{"id": "member", "variation": 1, "clauses": [clause]}],
        "salt": "",
    }


class Sdk:
    """A client without network, over a store that each question fills anew.

    Until it is closed the SDK is silent: it logs each example that it cannot evaluate.
    """

    def __init__(self) -> None:
        self._level = LOGGER.level
        LOGGER.setLevel(logging.CRITICAL)
        self._store = InMemoryFeatureStore()
        self._store.init({FEATURES: {}, SEGMENTS: {}})
        self._client = ldclient.LDClient(
            ldclient.Config("sdk-key", feature_store=self._store, use_ldd=True, send_events=False)
        )

    def close(self) -> None:
        self._client.close()
        LOGGER.setLevel(self._level)

    def answer(
        self,
        segments: Sequence[Mapping[str, JSONValue]],
        segment_key: str,
        context: Mapping[str, JSONValue],
    ) -> bool | None:
        """Whether the context is in the segment, or None where the SDK cannot answer."""
        detail = self.detail(probe(segment_key), segments, context)
        if detail.reason["kind"] == "ERROR":
            assert detail.reason["errorKind"] in {"EXCEPTION", "MALFORMED_FLAG"}, detail.reason
            return None
        assert isinstance(detail.value, bool)
        return detail.value

    def detail(
        self,
        flag: Mapping[str, Any],
        segments: Sequence[Mapping[str, JSONValue]],
        context: Mapping[str, JSONValue],
    ) -> ldclient.evaluation.EvaluationDetail:
        """What the SDK answers for a flag beside these segments, with its reason."""
        self._store.init(
            {
                FEATURES: {flag["key"]: dict(flag)},
                SEGMENTS: {str(segment["key"]): dict(segment) for segment in segments},
            }
        )
        user = ldclient.Context.from_dict(dict(context))
        assert user.valid, user.error
        return self._client.variation_detail(flag["key"], user, None)
