"""Taking back a call that has not begun: its number is known only once a container tells it.

A container may take a minute to start, and a client that is interrupted meanwhile has nothing to cancel. So every call
carries a ticket, a random name; the client leaves word in a Modal Dict that it gave the ticket back, and the container
looks there before it draws.
"""

import secrets
from typing import Any


def new_ticket() -> str:
    """Return a name that nobody else has."""
    return secrets.token_urlsafe(16)


def give_back(words: Any, ticket: str) -> None:
    """Leave word that the call with this ticket is not wanted any more."""
    words.put(_key(ticket), "given back")


def is_given_back(words: Any, ticket: str) -> bool:
    """Tell whether the call with this ticket is not wanted any more; calls without a ticket are."""
    return bool(ticket) and bool(words.contains(_key(ticket)))


def _key(ticket: str) -> str:
    return f"ticket/{ticket}"
