"""Version 1 of the REST API, its OpenAPI schema and the page that shows it."""

from __future__ import annotations

from csp.constants import SELF
from csp.decorators import csp_update
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from config.schema_view import SchemaView
from featureflags.api.policy import UnknownAddress

app_name = "api"

swagger = SpectacularSwaggerSplitView.as_view(url_name="api:schema", template_name="api/docs.html")
# Swagger UI draws its icons from data: URLs and styles what it draws in place.
docs = csp_update({"img-src": [SELF, "data:"]})(swagger)

urlpatterns = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", docs, name="docs"),
    path("", include("featureflags.api.urls")),
    path("", include("users.api.urls")),
    # An address may hold a line break, which `<path:…>` does not match.
    re_path(r"^(?P<unknown>[\s\S]*)\Z", UnknownAddress.as_view()),
]
