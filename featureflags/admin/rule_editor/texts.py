"""The texts of the rule editor. Its JavaScript contains none."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from featureflags.core.types import JSONValue

_TEXTS: Final = {
    "rules": _("Rules"),
    "rule": _("Rule %(rule)s"),
    "condition": _("Rule %(rule)s, condition %(condition)s"),
    "if": _("If"),
    "and": _("and"),
    "or": _("or"),
    "noRules": _("No rules yet: only users who are included by name are in the segment."),
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
    "groupUser": _("User"),
    "groupMetadata": _("Metadata"),
    "groupSegments": _("Segments"),
    "otherMetadata": _("Another metadata field…"),
    "metadataKey": _("Name of the metadata field"),
    "theUser": _("The user"),
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
    "noNumber": _("%(value)s is not a number."),
    "addSegment": _("or another one…"),
    "unknownSegment": _("%(value)s (this segment does not exist)"),
    "missing": _("Users without “%(attribute)s” do not match."),
    "asJson": _("This condition has no form here. It is kept as it is."),
    "conditionJson": _("Condition as JSON"),
    "editAsJson": _("Edit as JSON"),
    "backToForm": _("Back to the form"),
    "notRules": _("The form cannot show this text: it has to be a JSON list of rules."),
    "moveHint": _("Alt with an arrow key moves a condition or a rule."),
    "correct": _("What to correct"),
}


def editor_texts() -> dict[str, JSONValue]:
    """The texts by their names in the scripts; `%(name)s` is filled in there."""
    return {name: str(text) for name, text in _TEXTS.items()}
