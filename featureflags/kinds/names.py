"""How people know and find the rows of a kind: titles, names, searches, and the columns of lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import EmailField, Q, QuerySet
from django.db.models.functions import Lower
from django.utils.text import capfirst

from featureflags.kinds.attribute import Attribute
from featureflags.kinds.declaration import Kind
from featureflags.kinds.keys import Keys
from featureflags.kinds.paths import field_of


class Names(Keys):
    """The rows of a kind by what people call them."""

    attributes: tuple[Attribute, ...]

    def __init__(self, declared: type[Kind]) -> None:
        super().__init__(declared)
        self.title = declared.title or field_of(self.model, self.key).name
        self.label = declared.label
        self.search = tuple(declared.search)

    def loaded(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows with all that a snapshot needs."""
        raise NotImplementedError

    def title_of(self, snapshot: Any) -> str:
        """How people know the row; its key where the title is not an attribute."""
        return str(getattr(snapshot, self.title, None) or snapshot.key)

    def label_of(self, snapshot: Any) -> str:
        """The friendlier name, if the kind has one; may be empty."""
        return str(getattr(snapshot, self.label or "", None) or "")

    def label_of_row(self, row: Any) -> str:
        """As `label_of`, for a loaded row."""
        return str(getattr(row, self.label or "", None) or "")

    def title_of_row(self, row: Any) -> str:
        """As `title_of`, for a loaded row."""
        return str(getattr(row, self.title, None) or self.key_of(row))

    def titles(self, keys: Iterable[str]) -> dict[str, str]:
        """The titles of these rows by key; one query."""
        return {str(key): str(title) for key, title in self._of_keys(keys, self.key, self.title)}

    def keys_by_title(self, titles: Iterable[str]) -> dict[str, list[str]]:
        """The keys of the rows with these titles, by title; one query. Rows may share a title."""
        rows = self.rows().filter(**{f"{self.title}__in": list(titles)}).order_by(self.key)
        found: dict[str, list[str]] = {}
        for title, key in rows.values_list(self.title, self.key):
            found.setdefault(str(title), []).append(str(key))
        return found

    def keys_by_address(self, texts: Iterable[str]) -> dict[str, list[str]]:
        """The keys of the rows with these e-mail addresses, in lower case; one query for each such field.

        By the addresses that name a row or find it, in any case, other than those that `keys_by_title` knows.
        """
        wanted, found = list(texts), dict[str, list[str]]()
        lower = {attribute.name for attribute in self.attributes if attribute.is_lower_case}
        for name in self.addresses if wanted else ():
            if name != self.title or name not in lower:
                rows = self.rows().annotate(_address=Lower(name)).filter(_address__in=wanted)
                for address, key in rows.order_by(self.key).values_list("_address", self.key):
                    found.setdefault(address, []).append(str(key))
        return found

    @property
    def addresses(self) -> list[str]:
        """The fields with e-mail addresses by which people know or find a row."""
        names = dict.fromkeys((self.title, *self.search))
        return [name for name in names if isinstance(field_of(self.model, name), EmailField)]

    @property
    def has_addresses(self) -> bool:
        """Whether rows are titled by e-mail addresses."""
        return isinstance(field_of(self.model, self.title), EmailField)

    @property
    def plural(self) -> str:
        """What several rows are called, such as “companies”."""
        return str(self.model._meta.verbose_name_plural)

    @property
    def title_label(self) -> str:
        """What the titles are called, such as “E-mail”."""
        return self._label_of_field(self.title)

    @property
    def name_label(self) -> str:
        """What the friendlier names are called; empty where there are none."""
        return self._label_of_field(self.label) if self.label else ""

    def _label_of_field(self, name: str) -> str:
        for attribute in self.attributes:
            if attribute.name == name:
                return str(attribute.label)
        return capfirst(str(field_of(self.model, name).verbose_name))

    @property
    def heading(self) -> tuple[str, ...]:
        """The columns by which a file names a row: key, title and label."""
        return ("key", self.title, *((self.label,) if self.label else ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a list of rows: `heading`, and what the kind lists."""
        return (*self.heading, *self.declared.listed)

    def cells(self, snapshot: Any) -> list[str]:
        """A row's texts for `columns`."""
        values = {each.name: each.value for each in self.attributes}
        found = [snapshot.key, self.title_of(snapshot)]
        if self.label:
            found.append(self.label_of(snapshot))
        for name in self.declared.listed:
            value = values[name](snapshot, 0) if name in values else None
            found.append("" if value is None else str(value))
        return found

    def searched(self, text: str) -> Q:
        """The rows whose key is this text, or which a `search` field finds: the first by its beginning."""
        key = self.parse_key(self.canonical(text))
        if key is not None and not self.has_text_keys:
            return Q(**{self.key: key})
        first, *others = self.search or (self.title,)
        found = Q(**{f"{first}__istartswith": text})
        for name in others:
            found |= Q(**{f"{name}__icontains": text})
        return found

    def find(self, text: str) -> Any:
        """The row with this key, or the only one whose first `search` field, or an e-mail address by which
        people find a row, is this text: in any case, or as it is written where several differ by that; or None.

        All that `snapshot_of` needs comes with the row.
        """
        rows = self.loaded(self.rows())
        key = self.parse_key(self.canonical(text))
        found = None if key is None else rows.filter(**{self.key: key}).first()
        if found is not None or "\0" in text:
            return found
        for name in dict.fromkeys((*self.search[:1], *(self.addresses if "@" in text else ()))):
            some = list(rows.filter(**{f"{name}__iexact": text})[:2])
            if len(some) > 1:
                some = list(rows.filter(**{name: text})[:2])
            if some:
                return some[0] if len(some) == 1 else None
        return None
