"""Directories that are written whole and checked whenever they are read: a checkpoint, a model, a best model.

`manifest.json` holds the size and the SHA-256 of every other file and is written last. The directory is made under a
temporary name, each file synced, and renamed; so it is there with all its files, or not at all. What is parsed are the
very bytes that were hashed. Neither safetensors nor JSON would notice a changed bit by themselves.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

from chainrule.errors import DamagedError
from chainrule.runs.files import (
    TEMPORARY,
    format_json,
    parse_json,
    sync,
    temporary_name,
    write_durably,
    writing,
)

MANIFEST = "manifest.json"
FORMAT = 1
LARGEST_MANIFEST = 1_000_000


def manifest(files: Mapping[str, bytes]) -> bytes:
    """The one text that says what the files hold."""
    return _listing({name: {"bytes": len(content), "sha256": sha256(content).hexdigest()}
                     for name, content in files.items()})  # fmt: skip


def _listing(about: Mapping[str, Mapping[str, object]]) -> bytes:
    listed = {name: {key: about[name].get(key) for key in ("bytes", "sha256")} for name in sorted(about)}
    return format_json({"format": FORMAT, "files": listed})


def write_sealed(directory: Path, files: Mapping[str, bytes]) -> None:
    """`files` in `directory`, sealed; one that is there is replaced. Raises an OutputError, and leaves no litter."""
    temporary = temporary_name(directory)
    with writing(directory):
        try:
            temporary.mkdir(parents=True)
            for name, content in files.items():
                write_durably(temporary / name, content)
            write_durably(temporary / MANIFEST, manifest(files))
            sync(temporary)
            _replace(temporary, directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync(directory.parent)


def _replace(source: Path, target: Path) -> None:
    """A directory cannot be renamed onto one with files, so the old one steps aside first, and back if need be."""
    old = target.with_name(f".{target.name[:40]}{TEMPORARY}old-{os.getpid()}")
    there = target.exists()
    if there:
        target.rename(old)
    try:
        source.rename(target)
    except OSError:
        if there:
            old.rename(target)
        raise
    if there:
        shutil.rmtree(old, ignore_errors=True)


def remove(directory: Path) -> None:
    """Take `directory` away at once: by name first, so that a kill never leaves half of it under its name."""
    with writing(directory):
        gone = temporary_name(directory)
        directory.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def read_sealed(directory: Path, unread: Collection[str] = ()) -> dict[str, bytes]:
    """Every file of a sealed directory but the manifest. Raises a DamagedError that names what is damaged."""
    return read_listed(directory, None, unread)


def read_listed(directory: Path, allowed: Collection[str] | None, unread: Collection[str] = ()) -> dict[str, bytes]:
    """The files that the directory's manifest lists: names without a folder, or those that are `allowed`.

    unread: names that may be listed, and whose files are neither checked nor returned.
    """
    path = directory / MANIFEST
    if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST_MANIFEST):
        raise DamagedError(f"{path} is damaged: a manifest is a plain file of at most {LARGEST_MANIFEST:,} bytes.")
    try:
        written = path.read_bytes()
    except OSError as error:
        raise DamagedError(
            f"{directory} is damaged: {MANIFEST} cannot be read ({error.strerror}). "
            "It was not written by chainrule, or a part of it is missing."
        ) from None
    listed = parse_json(written, directory / MANIFEST)
    if not isinstance(listed, dict) or not isinstance(listed.get("files"), dict):
        raise DamagedError(f"{directory / MANIFEST} is damaged: it lists no files.")
    if listed.get("format") != FORMAT:
        raise DamagedError(f"{directory / MANIFEST} has format {listed.get('format')!r}; this version reads {FORMAT}.")
    files = {}
    for name, about in listed["files"].items():
        plain = "/" not in name and "\0" not in name and name not in ("", ".", "..", MANIFEST)
        if not (plain if allowed is None else name in allowed) or not isinstance(about, dict):
            raise DamagedError(f"{directory / MANIFEST} is damaged: it lists {name!r}.")
        if name not in unread:
            files[name] = _checked(directory / name, about)
    if written != _listing(listed["files"]):  # a key twice, another spacing: no writer of ours
        raise DamagedError(f"{directory / MANIFEST} is damaged: it is not as it was written.")
    return files


def _checked(path: Path, about: Mapping[str, object]) -> bytes:
    if path.exists() and not path.is_file():
        raise DamagedError(f"{path} is damaged: it is not a plain file.")
    try:
        size = path.stat().st_size
        if size != about.get("bytes"):
            raise DamagedError(f"{path} is damaged: it has {size} bytes, its manifest says {about.get('bytes')}.")
        if not path.is_file():  # to open a pipe would be to wait for it
            raise DamagedError(f"{path} is damaged: it is no file.")
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{path} is damaged: it cannot be read ({error.strerror}).") from None
    found = sha256(content).hexdigest()
    if found != about.get("sha256"):
        raise DamagedError(f"{path} is damaged: its SHA-256 is {found[:12]}..., its manifest says otherwise.")
    return content


def remove_litter(directory: Path) -> None:
    """Take away what killed processes left under temporary names in `directory`."""
    for path in directory.glob(f".*{TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
