"""Every flag of this project. A key that code or a template asks for, and that is not here, fails
`manage.py check`."""

from __future__ import annotations

from featureflags.flags import Flag, FlagType

NEW_CHECKOUT = Flag(
    key="new-checkout",
    type=FlagType.BOOLEAN,
    default=False,
    description="The checkout with a single page.",
    owner="payments",
    client_side=True,
)
WELCOME_TOUR = Flag(
    key="welcome-tour",
    type=FlagType.BOOLEAN,
    default=False,
    description="The tour that greets new accounts.",
    owner="growth",
    client_side=True,
)
INTERNAL_TOOLS = Flag(
    key="internal-tools",
    type=FlagType.BOOLEAN,
    default=False,
    description="Links to internal tools, for employees.",
    owner="platform",
)
ACCENT_COLOUR = Flag(
    key="accent-colour",
    type=FlagType.STRING,
    default="slate",
    description="The colour of the buttons on the home page.",
    owner="design",
    client_side=True,
)

FLAGS = [NEW_CHECKOUT, WELCOME_TOUR, INTERNAL_TOOLS, ACCENT_COLOUR]
