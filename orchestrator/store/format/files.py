"""Reads and writes the files of a run directory: each is written whole, synced and renamed.

This module knows names and bytes, on a local path or on any filesystem that Arrow can reach. It
knows no table, no sample and no key.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from nbest.orchestrator.errors import InputError, StoreError, first_line
from nbest.orchestrator.files import StrPath, without_password
from nbest.orchestrator.requirements import require
from nbest.orchestrator.store.format.arrow import FileSystem, OpenFile, filesystems, pa
from nbest.orchestrator.store.format.names import is_part, is_temporary, temporary_name

_LOST_SLASH = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{1,}):/(?!/)")


class RunFolder:
    """The files of one run directory. An error of the filesystem is a StoreError of one line."""

    def __init__(self, path: StrPath) -> None:
        self._fs, self._root = _open_filesystem(os.fspath(path))
        self.path = without_password(os.fspath(path))  # as messages show it
        self.is_local: bool = isinstance(self._fs, filesystems.LocalFileSystem)

    def full(self, name: str = "") -> str:
        """Return the path of a file of this run, on its filesystem."""
        return f"{self._root}/{name}" if name else self._root

    def exists(self, name: str) -> bool:
        with self._reporting("read"):
            info = self._fs.get_file_info(self.full(name))
            return bool(info.type != filesystems.FileType.NotFound)

    def names(self) -> list[str]:
        """List the run directory itself: its files and folders, sorted."""
        return sorted(self._listing(""))

    def files(self, folder: str) -> list[str]:
        """List the names of the files in a folder; none where there is no such folder."""
        listing = self._listing(folder)
        return sorted(name for name in listing if not listing[name])

    def folders(self, folder: str) -> list[str]:
        """List the folders in a folder, relative to the run."""
        listing = self._listing(folder)
        return [f"{folder}/{name}" for name in sorted(listing) if listing[name]]

    def parts(self, folder: str) -> list[str]:
        """List the committed parts of a folder, first committed first, relative to the run."""
        return [f"{folder}/{name}" for name in sorted(filter(is_part, self._listing(folder)))]

    def create(self) -> None:
        """Make the run directory and its parents, where they are missing. Raises InputError."""
        try:
            self._fs.create_dir(self.full(), recursive=True)
            if self.is_local:
                _sync_directory(os.path.dirname(self.full()))
        except OSError as error:
            rule = f"be a directory that can be made or used ({cause_of(error)})"
            raise InputError(f"run directory must {rule}, got {self.path!r}") from error

    def add_folder(self, folder: str) -> None:
        """Make a folder in the run directory, if it is not there; the run itself must be there."""
        try:
            self._fs.create_dir(self.full(folder), recursive=False)
            if self.is_local:
                _sync_directory(os.path.dirname(self.full(folder)))
        except OSError as error:
            raise self._failure("written", error) from error

    def commit(self, name: str, data: bytes) -> None:
        """Write a file so that it is there whole, even after a power cut, or not at all."""
        temporary = self.full(temporary_name(name))
        try:
            self._write(temporary, self.full(name), data)
        except OSError as error:
            with suppress(OSError):
                self._fs.delete_file(temporary)
            raise self._failure("written", error) from error

    def open(self, name: str) -> OpenFile:
        """Open a file for random access; raises FileNotFoundError where it is gone."""
        with self._reporting("read"):
            self._require_file(name)
            file = self._fs.open_input_file(self.full(name))
        if self.is_local:
            return file
        # Parquet asks for the ranges that it needs, and no more is fetched.
        return pa.PythonFile(_RemoteFile(file, self._failure), mode="r")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; raises FileNotFoundError where it is gone."""
        with self._reporting("read"):
            self._require_file(name)
            with self._fs.open_input_file(self.full(name)) as stream:
                data: bytes = stream.read()
                return data

    def delete(self, name: str) -> None:
        with self._reporting("written"), suppress(FileNotFoundError):
            self._fs.delete_file(self.full(name))

    def set_aside(self, name: str) -> None:
        """Rename a damaged part, so that a person can look at it and no program reads it."""
        with self._reporting("written"), suppress(FileNotFoundError):
            self._fs.move(self.full(name), self.full(f"{name}.damaged"))

    def delete_temporaries(self, folder: str = "") -> None:
        """Delete what a killed writer left unfinished."""
        for name in filter(is_temporary, self._listing(folder)):
            self.delete(f"{folder}/{name}" if folder else name)

    def _listing(self, folder: str) -> dict[str, bool]:
        """Map each name in a folder to whether it is a folder; empty where there is no folder."""
        selector = filesystems.FileSelector(self.full(folder), allow_not_found=True)
        is_folder = filesystems.FileType.Directory
        with self._reporting("listed"):
            return {i.base_name: i.type == is_folder for i in self._fs.get_file_info(selector)}

    def _write(self, temporary: str, final: str, data: bytes) -> None:
        if self.is_local:
            _write_synced(temporary, data)
            os.replace(temporary, final)
            _sync_directory(os.path.dirname(final))
        else:
            with self._fs.open_output_stream(temporary) as stream:
                stream.write(data)
            self._fs.move(temporary, final)

    def _require_file(self, name: str) -> None:
        """Raise OSError for a pipe or a device, which would hang whoever opens it."""
        if self.is_local and not stat.S_ISREG(os.stat(self.full(name)).st_mode):
            raise OSError(f"{name} is no regular file")

    @contextmanager
    def _reporting(self, verb: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:  # a reader may have to list again: compaction deletes files
            raise
        except OSError as error:
            raise self._failure(verb, error) from error

    def _failure(self, verb: str, error: OSError) -> StoreError:
        return StoreError(f"run directory {self.path!r} cannot be {verb}: {cause_of(error)}")


class _RemoteFile(io.RawIOBase):
    """A file of a remote filesystem, in which a failure to read is a StoreError.

    Arrow raises the same OSError where the network fails and where a file is damaged; only the
    second may cost the file its rows.
    """

    def __init__(self, file: OpenFile, failure: Callable[[str, OSError], StoreError]) -> None:
        self._file = file
        self._failure = failure

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        position: int = self._file.tell()
        return position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._file.seek(offset, whence)
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._file.read(None if size < 0 else size)
        except OSError as error:
            raise self._failure("read", error) from error
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


def cause_of(error: BaseException) -> str:
    """Return the cause in one line, without the paths that Python and Arrow put into messages."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return first_line(error)


def _open_filesystem(path: str) -> tuple[FileSystem, str]:
    require(bool(path) and "\0" not in path, "run directory", "be a path or a URI", path)
    if found := _LOST_SLASH.match(path):  # what `pathlib` makes of a URI
        rule = f"be a path or a URI such as {found['scheme']}://bucket/run"
        raise InputError(f"run directory must {rule}, got {without_password(path)!r}")
    if "://" not in path:
        return filesystems.LocalFileSystem(), os.path.abspath(path)
    try:
        filesystem, root = filesystems.FileSystem.from_uri(path)
    except (OSError, ValueError) as error:  # its text may quote the URI, password and all
        rule = "be a path or a URI that Arrow can open"
        raise InputError(f"run directory must {rule}, got {without_password(path)!r}") from error
    return filesystem, str(root).rstrip("/")


def _write_synced(path: str, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_directory(path: str) -> None:
    # A rename survives a power cut only once the directory that holds the name is on disk.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
