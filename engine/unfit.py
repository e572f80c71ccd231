"""What pydantic says of values that do not fit, in our words."""

from pydantic import ValidationError

_MOST = 3


def in_words(error: ValidationError) -> str:
    """Return the first things wrong, each with its port: `text: Input should be a valid string, got int`."""
    wrong = error.errors(include_url=False, include_context=False)
    told = [f"{_port(each['loc'])}: {each['msg']}, got {type(each['input']).__name__}" for each in wrong[:_MOST]]
    more = f"; and {len(wrong) - _MOST} more" if len(wrong) > _MOST else ""
    return "; ".join(told) + more


def _port(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place)) or "the outputs"
