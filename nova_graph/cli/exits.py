"""What the command line says and returns when something goes wrong."""

from typing import Final

from engine.errors import AssetError, Cancelled, GraphErrors, NodeError, NovaError, RegistryError, SettingError

OK: Final = 0
FAILED: Final = 1
"""A node failed, a picture could not be made again as it was, or nobody could take what was printed."""
USAGE: Final = 2
"""The graph or the command was wrong; nothing was run."""
ASSET: Final = 3
"""Weights, a picture or a detector were missing, refused, or could not be downloaded."""
CANCELLED: Final = 130
"""The user pressed Ctrl-C."""


class OutputLost(NovaError):
    """What was printed, or drawn, could not be written."""


class UsageError(NovaError):
    """The command was used wrongly."""


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error; a failed node counts by its cause where that is an asset."""
    if isinstance(error, NodeError):
        return exit_code(error.cause) if isinstance(error.cause, AssetError | Cancelled) else FAILED
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return CANCELLED
    if isinstance(error, AssetError):
        return ASSET
    if isinstance(error, GraphErrors | RegistryError | SettingError | UsageError):
        return USAGE
    return FAILED
