"""The segments of the REST API on loopback, and the instructions that change them.

The caller holds the lock. Whatever is not documented is refused: unknown fields, instructions and
rules, values of another type (https://launchdarkly.com/docs/api/segments/patch-segment).
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]

KEY = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")
NEW_FIELDS = {"key", "name", "description", "tags", "unbounded", "unboundedContextKind"}
CLAUSE_FIELDS = {
    "contextKind": str,
    "attribute": str,
    "op": str,
    "negate": bool,
    "values": list,
}
IN_DETAIL_ALONE = {"_flags"}
"""Left out of lists: only the detailed representation has it."""


class Refused(Exception):
    """An error in LaunchDarkly's format."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: JsonObject = {"code": code, "message": message, "id": str(uuid.uuid4())}


def invalid(message: str) -> Refused:
    return Refused(400, "invalid_request", message)


def clause(attribute: str, op: str, *values: Any, negate: bool = False) -> JsonObject:
    """A clause in the API's JSON."""
    return {
        "contextKind": "user",
        "attribute": attribute,
        "op": op,
        "values": list(values),
        "negate": negate,
    }


class SegmentStore:
    """The segments of one environment, by key, in the order of their creation."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._segments: dict[str, JsonObject] = {}
        self.left_out_of_lists = set(IN_DETAIL_ALONE)
        """A test may add more: the vendor promises only "the most important attributes"."""

    # For tests

    def put(self, key: str, *clauses: JsonObject, **fields: Any) -> JsonObject:
        """Add a segment, with one rule of these clauses if there are any."""
        segment = _new(key, fields.pop("name", key), [])
        if clauses:
            segment["rules"] = [_rule(list(clauses))]
        segment.update(fields)
        self._segments[key] = segment
        return segment

    def keys(self) -> list[str]:
        return list(self._segments)

    def raw(self, key: str) -> JsonObject:
        """The segment itself, which a test may edit."""
        return self._segments[key]

    # The calls of the API

    def summaries(self) -> list[JsonObject]:
        return [
            {name: value for name, value in each.items() if name not in self.left_out_of_lists}
            for each in self._segments.values()
        ]

    def show(self, key: str) -> JsonObject:
        if key not in self._segments:
            raise Refused(404, "not_found", f"Unknown segment key '{key}'")
        return copy.deepcopy(self._segments[key])

    def create(self, body: Any) -> JsonObject:
        if not isinstance(body, dict) or not body.keys() <= NEW_FIELDS:
            raise invalid("Unknown field in segment")
        key, name, tags = body.get("key"), body.get("name"), body.get("tags", [])
        if not isinstance(key, str) or not KEY.match(key):
            raise invalid("Key must begin with a letter or digit")
        if not isinstance(name, str) or not name:
            raise invalid("Name is required")
        if not _are_strings(tags) or not isinstance(body.get("description", ""), str):
            raise invalid("Tags must be a list of strings, the description a string")
        if key in self._segments:
            raise Refused(409, "conflict", f"A segment with key '{key}' already exists")
        self._segments[key] = {**_new(key, name, tags), "description": body.get("description", "")}
        return self.show(key)

    def patch(self, key: str, body: Any) -> JsonObject:
        """All instructions or none."""
        segment = self.show(key)
        if not isinstance(body, dict) or not body.keys() <= {
            "comment",
            "environmentKey",
            "instructions",
        }:
            raise invalid("Unknown field in semantic patch")
        if body.get("environmentKey") != self._environment:
            raise invalid("environmentKey is required, and must be that of the path")
        instructions = body.get("instructions")
        if not isinstance(instructions, list) or not instructions:
            raise invalid("instructions must have at least one instruction")
        if not isinstance(body.get("comment", ""), str):
            raise invalid("comment must be a string")
        for each in instructions:
            _carry_out(each, segment)
        segment["version"] += 1
        self._segments[key] = segment
        return self.show(key)

    def delete(self, key: str) -> None:
        if self.show(key)["_flags"]:
            raise Refused(409, "conflict", f"Segment '{key}' is in use")
        del self._segments[key]


def _new(key: str, name: str, tags: list[str]) -> JsonObject:
    return {
        "key": key,
        "name": name,
        "description": "",
        "tags": list(tags),
        "creationDate": 1_700_000_000_000,
        "lastModifiedDate": 1_700_000_000_000,
        "included": [],
        "excluded": [],
        "includedContexts": [],
        "excludedContexts": [],
        "rules": [],
        "version": 1,
        "deleted": False,
        "unbounded": False,
        "generation": 1,
        "_links": {"self": {"href": f"/api/v2/segments/…/{key}", "type": "application/json"}},
        "_flags": [],
    }


def _rule(clauses: list[JsonObject], description: str = "") -> JsonObject:
    shown = [{"_id": str(uuid.uuid4()), **each} for each in clauses]
    return {"_id": str(uuid.uuid4()), "clauses": shown, "description": description}


def _carry_out(instruction: Any, segment: JsonObject) -> None:
    kind = instruction.get("kind") if isinstance(instruction, dict) else None
    if kind not in INSTRUCTIONS:
        raise invalid(f"unknown instruction kind: {kind}")
    fields, work = INSTRUCTIONS[kind]
    given = {name: value for name, value in instruction.items() if name != "kind"}
    if given.keys() != fields.keys():
        raise invalid(f"{kind}: expected {sorted(fields)}, got {sorted(given)}")
    for name, value in given.items():
        if type(value) is not fields[name]:
            raise invalid(f"{kind}: {name} has the wrong type")
    work(segment, given)


def _add_rule(segment: JsonObject, given: JsonObject) -> None:
    if not given["clauses"]:
        raise invalid("addRule: a rule must have clauses")
    for each in given["clauses"]:
        if not isinstance(each, dict) or each.keys() != CLAUSE_FIELDS.keys():
            raise invalid("addRule: a clause has the wrong fields")
        if any(type(value) is not CLAUSE_FIELDS[name] for name, value in each.items()):
            raise invalid("addRule: a clause has a value of the wrong type")
    segment["rules"].append(_rule(given["clauses"], given["description"]))


def _remove_rule(segment: JsonObject, given: JsonObject) -> None:
    segment["rules"] = [each for each in segment["rules"] if each["_id"] != given["ruleId"]]


def _update_name(segment: JsonObject, given: JsonObject) -> None:
    if not given["value"]:
        raise invalid("updateName: value must not be empty")
    segment["name"] = given["value"]


def _remove_targets(where: str) -> Callable[[JsonObject, JsonObject], None]:
    def remove(segment: JsonObject, given: JsonObject) -> None:
        gone = set(given["values"])
        if given["contextKind"] == "user":
            segment[where] = [each for each in segment[where] if each not in gone]
        for target in segment[f"{where}Contexts"]:
            if target["contextKind"] == given["contextKind"]:
                target["values"] = [each for each in target["values"] if each not in gone]

    return remove


def _are_strings(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


TARGETS: dict[str, type] = {"contextKind": str, "values": list}

INSTRUCTIONS: dict[str, tuple[dict[str, type], Callable[[JsonObject, JsonObject], None]]] = {
    "addRule": ({"clauses": list, "description": str}, _add_rule),
    "removeRule": ({"ruleId": str}, _remove_rule),
    "updateName": ({"value": str}, _update_name),
    "removeIncludedTargets": (TARGETS, _remove_targets("included")),
    "removeExcludedTargets": (TARGETS, _remove_targets("excluded")),
}
"""Kind of instruction → the types of its fields, and the function that carries it out."""
