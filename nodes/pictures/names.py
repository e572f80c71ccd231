"""Names that may be shown to strangers."""

import re

_FILE_ENDING = re.compile(r"\.\w{2,12}$")


def plain_name(text: str) -> str:
    """Return the file name of a path or an address, without folders, user names, or query; other names unchanged.

    `org/name` is no path, `folder/file.safetensors` is one.
    """
    bare = text
    is_address = "://" in text
    if is_address:
        bare = re.split(r"[?#]", text, maxsplit=1)[0].rstrip("/")
    is_path = bare.startswith(("/", ".", "~")) or "\\" in bare or re.match(r"[A-Za-z]:", bare) is not None
    if is_address or is_path or ("/" in bare and _FILE_ENDING.search(bare)):
        return re.split(r"[/\\]", bare.rstrip("/\\"))[-1]
    return text
