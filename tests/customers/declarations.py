"""The kind `user` of this app, as its `kinds.py` would declare it; see `tests.featureflags.kinds`."""

from __future__ import annotations

from django.db.models import Count, DateTimeField, IntegerField, Max, OuterRef, Subquery
from django.db.models.functions import Coalesce

from featureflags.kinds import (
    Boolean,
    DaysSince,
    Domain,
    Instant,
    Kind,
    Many,
    Metadata,
    Number,
    Related,
    Text,
    WatchRows,
)
from tests.customers.models import Company, Customer, Order

OF_CUSTOMER = Order.objects.filter(customer=OuterRef("pk")).order_by().values("customer")
LAST_ORDER = Subquery(
    OF_CUSTOMER.annotate(last=Max("placed_at")).values("last"), output_field=DateTimeField()
)
ORDERS = Coalesce(
    Subquery(OF_CUSTOMER.annotate(count=Count("pk")).values("count")),
    0,
    output_field=IntegerField(),
)
OF_ORDERS = WatchRows(Order, "customer")


class CustomerKind(Kind):
    name = "user"
    model = Customer
    title = "username"
    search = ("username", "email")
    created = "date_joined"

    username = Text("username", private=True)
    email = Text("email", private=True, user_writable=True, blank_is_missing=True)
    email_domain = Domain("email", user_writable=True)
    is_staff = Boolean("is_staff")
    created_at = Instant("date_joined")
    account_age_days = DaysSince("date_joined")
    plan = Text("profile__plan")
    country = Text("profile__country", blank_is_missing=True)
    company = Text("profile__company__name")
    seats = Number("profile__company__seats")
    revenue = Number("profile__company__revenue")
    discount = Number("profile__company__discount")
    founded = Instant("profile__company__founded")
    company_age_days = DaysSince("profile__company__founded")
    tags = Many("tags__name")
    teams = Many("teams__name")
    order_states = Many("orders__state")
    orders = Number(ORDERS, watch=OF_ORDERS, always_known=True)
    last_order_at = Instant(LAST_ORDER, watch=OF_ORDERS)
    days_since_order = DaysSince(LAST_ORDER, watch=OF_ORDERS)
    metadata = Metadata("metadata")


class OrganizationKind(Kind):
    name = "organization"
    model = Company
    title = "name"
    search = ("name",)

    name_ = Text("name")
    seats = Number("seats")
    revenue = Number("revenue", private=True)
    founded = Instant("founded")
    age_days = DaysSince("founded")


class EmployeeKind(CustomerKind):
    """Customers with the organization that they belong to."""

    organization = Related("profile__company", kind="organization")
