"""The texts of the rule editor. Its JavaScript contains none."""

from __future__ import annotations

from typing import Final

from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from featureflags.core.types import JSONValue
from featureflags.kinds.nouns import noun

_TEXTS: Final = {
    "rules": _("Rules"),
    "rule": _("Rule %(rule)s"),
    "condition": _("Rule %(rule)s, condition %(condition)s"),
    "if": _("If"),
    "and": _("and"),
    "or": _("or"),
    "noRules": _("No rules yet: nobody is in the segment but those who are included by name."),
    "noConditions": _("This rule has no condition yet, so nobody matches it."),
    "ruleDescription": _("What this rule is for (optional)"),
    "addRule": _("Add a rule"),
    "addCondition": _("Add a condition"),
    "duplicateRule": _("Duplicate"),
    "duplicateRuleLabel": _("Duplicate rule %(rule)s"),
    "moveUp": _("Move rule %(rule)s up"),
    "moveDown": _("Move rule %(rule)s down"),
    "moved": _("Moved: it is now %(place)s."),
    "removeRule": _("Remove"),
    "removeRuleLabel": _("Remove rule %(rule)s"),
    "removeCondition": _("Remove condition %(condition)s of rule %(rule)s"),
    "ruleRemoved": _("A rule was removed."),
    "conditionRemoved": _("A condition was removed."),
    "undo": _("Undo"),
    "attribute": _("Attribute"),
    "chooseAttribute": _("Choose an attribute…"),
    "groupMetadata": _("Metadata"),
    "otherMetadata": _("Another metadata field…"),
    "metadataKey": _("Name of the metadata field"),
    "operator": _("Comparison"),
    "values": _("Values"),
    "value": _("Value"),
    "chosen": _("Chosen"),
    "addValue": _("Add a value…"),
    "removeValue": _("Remove %(value)s"),
    "valueRemoved": _("%(value)s was removed."),
    "valueThere": _("%(value)s is there already."),
    "valuesAdded": _("%(count)s values were added, %(there)s were there before."),
    "countValues": _("%(count)s values"),
    "moreValues": _("and %(count)s more"),
    "findValue": _("Find a value…"),
    "removeAll": _("Remove all"),
    "allRemoved": _("All values were removed."),
    "share": _("Percentage of rule %(rule)s"),
    "addShare": _("Take only a percentage of them"),
    "removeShare": _("Take everybody who matches rule %(rule)s"),
    "shareFirst": _("Of these, the first"),
    "sharePercent": _("per cent"),
    "shareBy": _("by"),
    "shareMissing": _("Those without “%(attribute)s” are all taken."),
    "noPercent": _("The percentage must be a number from 0 to 100, with at most three decimals."),
    "valuesHelp": _("Enter or a comma adds a value; a pasted list adds them all."),
    "expressionHelp": _("A regular expression (RE2). Enter adds it."),
    "valueType": _("Type"),
    "typeText": _("text"),
    "typeNumber": _("number"),
    "typeBoolean": _("true or false"),
    "choose": _("Choose…"),
    "true": _("true"),
    "false": _("false"),
    "date": _("Date"),
    "time": _("Time"),
    "zone": _("in %(zone)s"),
    "unfinishedDate": _("Finish this date, or clear it."),
    "entries": _("entries"),
    "noCount": _("Give a whole number."),
    "amount": _("Number"),
    "unit": _("Unit"),
    "noAmount": _("Give a whole number from 1 to 9,999."),
    "today": _("today"),
    "aDay": _("a day of the year"),
    "dayOfMonth": _("Day"),
    "month": _("Month"),
    "noDay": _("Give the day of the month."),
    "from": _("from"),
    "until": _("until before"),
    "noNumber": _("%(value)s is not a number."),
    "addSegment": _("or another one…"),
    "unknownSegment": _("%(value)s (this segment does not exist)"),
    "missing": _("Those without “%(attribute)s” do not match."),
    "ignoreCase": _("in upper or lower case"),
    "orMissing": _("or has no “%(attribute)s”"),
    "example": _("Try it on an example…"),
    "notTried": _("It could not be tried. Is your session still there?"),
    "sameRule": _("The same as rule %(rule)s: one of them is enough."),
    "unknownField": _("In a random sample nobody has the field %(field)s."),
    "meant": _("Is %(field)s meant?"),
    "asJson": _("This condition has no form here. It is kept as it is."),
    "conditionJson": _("Condition as JSON"),
    "editAsJson": _("Edit as JSON"),
    "backToForm": _("Back to the form"),
    "notRules": _("The form cannot show this text: it has to be a JSON list of rules."),
    "moveHint": _("Alt with an arrow key moves a condition or a rule."),
    "correct": _("What to correct"),
}


def editor_texts(kind: str) -> dict[str, JSONValue]:
    """The texts by their names in the scripts; `%(name)s` is filled in there. `kind`: of the segment."""
    row = noun(kind, 1)
    by_kind = {
        "groupUser": capfirst(row),
        "theUser": gettext("The %s") % row,
        "inSegment": gettext("The %s (by segment)") % row,
    }
    return {**{name: str(text) for name, text in _TEXTS.items()}, **by_kind}
