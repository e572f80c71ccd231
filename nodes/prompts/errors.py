"""The error of a prompt that cannot be encoded."""

from engine.errors import NovaError


class PromptError(NovaError):
    """A prompt asks for something that the text encoders cannot do."""
