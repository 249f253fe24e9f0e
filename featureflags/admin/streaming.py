"""CSV files that are sent while they are made, in bounded memory, under WSGI and ASGI."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from django.http import HttpRequest, StreamingHttpResponse

from featureflags.core.streaming import streamed

ROWS_AT_ONCE: Final = 500
BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it a spreadsheet reads names in the wrong encoding."""

STARTS_OF_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet computes a cell that begins with one of these, and may send other cells away:
https://owasp.org/www-community/attacks/CSV_Injection"""


def csv_response(
    request: HttpRequest, filename: str, header: Iterable[str], rows: Iterable[Iterable[str]]
) -> StreamingHttpResponse:
    """A CSV for spreadsheets: no cell of it is a formula.

    `rows` is read as the response is sent. `filename` is plain ASCII without quotes.
    """
    response = streamed(request, _chunks(header, rows), "text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-store"
    return response


def harmless(cell: str) -> str:
    """The text for a spreadsheet, with an apostrophe before what would be a formula.

    Text that looks as if it had one already gets another: an import takes one away.
    """
    return f"'{cell}" if cell.lstrip("'").startswith(STARTS_OF_FORMULAS) else cell


class _Echo:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def _chunks(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield BYTE_ORDER_MARK + writer.writerow(header)
    source = iter(rows)
    while batch := list(islice(source, ROWS_AT_ONCE)):
        yield "".join(writer.writerow(map(harmless, row)) for row in batch)
