"""The documentation at `/docs/`: the site that `make docs` has built, or a page that says how.

The files are our own and hold nothing that a user typed. Zensical writes a few short scripts into
each page; the policy of the page names their hashes, so that no other inline script runs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any, Final

from csp.constants import SELF, UNSAFE_INLINE
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.static import serve

INDEX: Final = "index.html"
INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@require_safe
def documentation(request: HttpRequest, path: str = "") -> HttpResponseBase:
    """A file of the built site. 404 for a file that it does not have, and where it is not built."""
    root = Path(settings.DOCS_ROOT)
    if not (root / INDEX).is_file():
        return render(request, "documentation/not_built.html", status=404)
    path = f"{path}{INDEX}" if path == "" or path.endswith("/") else path
    try:
        response: Any = serve(request, path, document_root=str(root))
    except OSError as error:  # a name longer than any file's
        raise Http404 from error
    if path.endswith(".html") and response.status_code == 200:
        # The search shows its results with styles in place, and colours come as data: URLs.
        response._csp_update = {  # noqa: SLF001 - what django-csp's own decorator sets
            "script-src": [SELF, *_hashes((root / path).read_bytes())],
            "style-src": [SELF, UNSAFE_INLINE],
            "img-src": [SELF, "data:"],
        }
    return response  # type: ignore[no-any-return]


def _hashes(page: bytes) -> list[str]:
    """The inline scripts of a page, each as a source of a Content-Security-Policy."""
    return [
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in INLINE_SCRIPT.findall(page)
    ]
