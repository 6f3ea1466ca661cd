"""The declarations that a user has put into a folder, or below a prefix of a store."""

from __future__ import annotations

from pathlib import PurePosixPath

from pyarrow import fs

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line
from lakehouse.lake.store import open_filesystem
from lakehouse.reference.yaml_document import MAX_SIZE

SUFFIXES = (".yaml", ".yml")


def read_user_files(variable: str, given: str, default: str, settings: Settings) -> list[tuple[str, bytes]]:
    """Return path and content of every YAML file below a folder, by path; hidden files are left out.

    The folder is the one that the setting `variable` gives, or the default one, which need not be there. Of a file that
    is too large to be a declaration only a part is read.

    Raises:
        BadInputError: the folder that was given is not there.
        UnavailableError: the folder or a file can't be read.
    """
    folder = given or default
    filesystem, root = open_filesystem(folder, settings)
    try:
        if filesystem.get_file_info(root).type != fs.FileType.Directory:
            if given:
                raise BadInputError(f"{variable} names {folder}, which is not a folder")
            return []
        found = []
        for info in filesystem.get_file_info(fs.FileSelector(root, recursive=True)):
            path = PurePosixPath(info.path).relative_to(root)
            is_hidden = any(part.startswith(".") for part in path.parts)
            if info.type == fs.FileType.File and path.suffix in SUFFIXES and not is_hidden:
                with filesystem.open_input_file(info.path) as stream:
                    found.append((f"{folder}/{path}", stream.read(MAX_SIZE + 1)))
    except OSError as error:
        raise UnavailableError(f"the declarations in {folder} can't be read ({first_line(error)})") from error
    return sorted(found)
