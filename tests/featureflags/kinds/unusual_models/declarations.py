"""Kinds of models that are not plain: children of others, proxies, links to other columns, hidden rows."""

from __future__ import annotations

from django.db.models import Count, IntegerField, OuterRef, Subquery

from featureflags.kinds import Kind, Many, Number, Related, Text, WatchRows
from tests.customers.models import Person
from tests.customers.partners import Partner, Pass, Reseller, TopReseller


class PersonKind(Kind):
    name = "user"
    model = Person
    username = Text("username")
    colour = Text("pass__colour")


class PartnerKind(Kind):
    name = "partner"
    model = Partner
    key = "code"
    title = "name"

    name_ = Text("name")
    parent = Text("parent__name")
    grandparent = Text("parent__parent__name")
    children = Many("children__name")
    marks = Many("marks__label")
    region = Text("reseller__region")
    name_length = Number("name_length")
    gone_resellers = Number(
        Subquery(
            Reseller.every.filter(backup=OuterRef("pk"), is_gone=True)
            .order_by()
            .values("backup")
            .annotate(number=Count("pk"))
            .values("number"),
            output_field=IntegerField(),
        ),
        watch=WatchRows(Reseller, "backup__partner_ptr", fields=("backup", "is_gone")),
    )


class ResellerKind(Kind):
    name = "reseller"
    model = Reseller
    title = "name"

    name_ = Text("name")
    region = Text("region")
    parent = Text("parent__name")
    backup = Text("backup__name")
    backs_up = Many("backs_up__name")
    marks = Many("marks__label")


class TopKind(Kind):
    name = "top"
    model = TopReseller
    region = Text("region")
    name_ = Text("name")


class PassKind(Kind):
    name = "pass"
    model = Pass
    colour = Text("colour")
    partner = Text("partner__name")
    region = Text("partner__region")
    note = Text("key")
    of_reseller = Related("partner", kind="reseller")


KINDS = (PersonKind, PartnerKind, ResellerKind, TopKind, PassKind)
