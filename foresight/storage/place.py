"""Where run logs and features are kept, as a person names it: a folder, `s3://bucket/prefix` or `gs://bucket/prefix`.

Of what lies in an object store every machine works on a copy, in `$FORESIGHT_LOCAL` or the user's cache folder; the store
is the truth, and the copy can be deleted at any time. An endpoint that is not Amazon's or Google's is named in the URL,
`s3://bucket/prefix?endpoint_override=127.0.0.1:9000&scheme=http`, or for S3 by `AWS_ENDPOINT_URL`. Keys are never part of it.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from foresight.errors import RequestError, nearest_name

SCHEMES = ("s3", "gs")
OPTIONS = ("endpoint_override", "scheme", "region")  # of the query, as pyarrow calls them


@dataclass(frozen=True)
class Place:
    """A folder of this machine, and the URL that it is a copy of, if it is one."""

    path: Path
    url: str | None = None

    def below(self, name: str) -> "Place":
        """A folder inside it. What follows the `?` of a URL stays behind."""
        if self.url is None:
            return Place(self.path / name)
        front, mark, query = self.url.partition("?")
        return Place(self.path / name, f"{front.rstrip('/')}/{name}{mark}{query}")

    @property
    def above(self) -> "Place":
        """The folder that it is in."""
        if self.url is None:
            return Place(self.path.parent)
        front, mark, query = self.url.partition("?")
        return Place(self.path.parent, f"{front.rpartition('/')[0]}{mark}{query}")

    def __str__(self) -> str:
        return self.url or str(self.path)


def read_place(text: str) -> Place:
    """The place that a person named. Raises RequestError for a URL that is none of ours, or holds credentials."""
    if not text.strip():
        raise RequestError("a place without a name is none; give a folder, s3://bucket/prefix or gs://bucket/prefix")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(//?)", text)
    if scheme is None or (scheme[2] == "/" and scheme[1] not in SCHEMES):
        return Place(Path(text).expanduser().absolute())
    url = check_url(text)
    # One place has one copy, however it is typed.
    text = urlunsplit(url._replace(path=url.path.rstrip("/")))
    slug = re.sub(r"[^A-Za-z0-9]+", "-", f"{url.netloc}{url.path}").strip("-")
    return Place(local_root() / f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", text)


def check_url(text: str) -> SplitResult:
    """The parts of the URL of an object store. Raises RequestError as `read_place` does."""
    url = urlsplit(text)
    if url.scheme not in SCHEMES:
        raise RequestError(
            f"'{url.scheme}://' is no storage that is known here{nearest_name(url.scheme, SCHEMES)}; give a folder, "
            "s3://bucket/prefix or gs://bucket/prefix"
        )
    endpoint = "".join(parse_qs(url.query).get("endpoint_override", ()))
    if "@" in url.netloc + endpoint:  # neither is repeated: what stands here is in logs and in the list of processes
        raise RequestError(
            f"credentials do not belong in a {url.scheme}:// URL, which is recorded; give them by environment variables "
            "or the files of the cloud's own tools"
        )
    if not url.netloc:
        raise RequestError(f"'{text}' names no bucket; write {url.scheme}://bucket/prefix")
    unknown = [name for name in parse_qs(url.query) if name not in OPTIONS]
    if unknown:
        raise RequestError(
            f"'{unknown[0]}' is no option of a storage's URL{nearest_name(unknown[0], OPTIONS)}; they are {', '.join(OPTIONS)}"
        )
    return url


def local_root() -> Path:
    """`$FORESIGHT_LOCAL`, else `foresight-local` in the user's cache folder."""
    chosen = os.environ.get("FORESIGHT_LOCAL")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foresight-local"
