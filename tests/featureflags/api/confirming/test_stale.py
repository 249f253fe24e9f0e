"""Versions that are old by now: in the body, in `If-Match`, and between reading and writing."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from featureflags.models import Segment
from featureflags.models.changesets import open_changeset
from tests.factories import UserFactory
from tests.featureflags.api.confirming.segment import ONE

pytestmark = pytest.mark.django_db


class TestStale:
    def rename(self, name: str) -> None:
        stored = Segment.objects.get(key="paying")
        stored.name = name
        with open_changeset(actor=UserFactory.create(name="Ada"), note="Better"):
            stored.save()

    def test_a_version_in_the_body(self, root: APIClient, paying: Segment) -> None:
        read = root.get(ONE).json()
        self.rename("Theirs")
        refused = root.put(ONE, {**read, "description": "Mine"})
        assert refused.status_code == 409
        body = refused.json()
        assert body["version"] == 2
        (changed,) = body["changed"]
        assert (changed["who"], changed["note"], changed["version"]) == ("Ada", "Better", 2)
        assert changed["changes"] == ["Name changed from “Paying” to “Theirs”"]
        assert Segment.objects.get(key="paying").description == ""
        fresh = root.get(ONE).json()
        assert root.put(ONE, {**fresh, "description": "Mine"}).status_code == 200

    def test_if_match(self, root: APIClient, paying: Segment) -> None:
        tag = root.get(ONE).headers["ETag"]
        assert tag == '"1"'
        self.rename("Theirs")
        refused = root.patch(ONE, {"description": "Mine"}, headers={"If-Match": tag})
        assert (refused.status_code, refused.json()["version"]) == (412, 2)
        gone = root.delete(f"{ONE}?confirm=paying", headers={"If-Match": tag})
        assert gone.status_code == 412
        done = root.patch(ONE, {"description": "Mine"}, headers={"If-Match": '"2"'})
        assert (done.status_code, done.headers["ETag"]) == (200, '"3"')
        nonsense = root.patch(ONE, [], headers={"If-Match": '"3"'})
        assert nonsense.status_code == 400
        any_version = root.patch(ONE, {"description": "x"}, headers={"If-Match": "*"})
        assert any_version.status_code == 200

    @pytest.mark.parametrize("tag", ["1", "", "'1'", '"1", 2', "W/1", "**"])
    def test_a_condition_that_nobody_can_read_is_not_ignored(
        self, root: APIClient, paying: Segment, tag: str
    ) -> None:
        for ask in (root.patch, root.put):
            refused = ask(ONE, {"description": "Mine"}, headers={"If-Match": tag})
            assert refused.status_code == 400
            assert "If-Match" in refused.json()["errors"]
        assert root.delete(f"{ONE}?confirm=paying", headers={"If-Match": tag}).status_code == 400
        assert Segment.objects.get(key="paying").description == ""
        weak = root.patch(ONE, {"description": "Mine"}, headers={"If-Match": 'W/"1"'})
        assert weak.status_code == 412, "a weak tag names no version"

    def test_without_a_version_only_what_is_sent_is_written(
        self, root: APIClient, paying: Segment
    ) -> None:
        self.rename("Theirs")
        assert root.patch(ONE, {"description": "Mine"}).status_code == 200
        assert Segment.objects.get(key="paying").name == "Theirs"

    def test_a_save_that_changed_nothing_is_not_a_conflict(
        self, root: APIClient, paying: Segment
    ) -> None:
        read = root.get(ONE).json()
        paying.save()
        assert root.put(ONE, {**read, "description": "Mine"}).status_code == 200

    def test_a_save_that_comes_in_between_is_409(
        self, root: APIClient, paying: Segment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After the versions were compared, before the row is written."""
        raced: list[bool] = []
        full_clean = Segment.full_clean

        def race(self: Segment, *args: Any, **options: Any) -> None:
            if not raced:
                raced.append(True)
                Segment.objects.filter(pk=paying.pk).update(name="Theirs")
            full_clean(self, *args, **options)

        monkeypatch.setattr(Segment, "full_clean", race)
        answer = root.patch(ONE, {"name": "Mine", "version": 1})
        assert answer.status_code == 409
        assert Segment.objects.get(key="paying").name == "Theirs"

    @pytest.mark.parametrize("version", ["1", True, 1.5])
    def test_an_invalid_version_is_400(
        self, root: APIClient, paying: Segment, version: Any
    ) -> None:
        answer = root.patch(ONE, {"name": "Mine", "version": version})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["version"])
