"""Files under a prefix of an object store, S3 or GCS, through pyarrow.

What is relied on is little: an object appears whole when its upload has ended, and is read and listed from then on (S3 since
2020, GCS). Nothing is renamed, appended or locked.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from foresight.errors import RequestError, StorageError
from foresight.storage.local import Seen
from foresight.storage.place import Place, check_url, read_place

CONNECT_S = 5.0
REQUEST_S = 30.0
AT_ONCE = 8  # transfers
ATTEMPTS = 8  # of a request, each later than the last: a minute or two in which the storage may be away
FIRST_ATTEMPTS = 3  # of the first one, for which a person waits

# What pyarrow's messages say of the two things that a person can put right.
NO_ACCESS = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "INVALID_CLIENT_TOKEN", "SIGNATURE_DOES_NOT_MATCH", "MISSING_AUTH",
             "EXPIRED_TOKEN", "UNRECOGNIZED_CLIENT", "HTTP STATUS CODE: 403", "HTTP STATUS CODE: 401", "PERMISSION_DENIED",
             "PERMISSION DENIED", "UNAUTHENTICATED", "CREDENTIALS")  # fmt: skip
NO_NETWORK = (
    "NETWORK_CONNECTION",
    "CURLCODE",
    "COULD NOT CONNECT",
    "COULD NOT RESOLVE",
    "TIMEOUT",
    "TIMED OUT",
    "UNAVAILABLE",
)
FIRST_NAME = "sweep.json"  # any name
GONE = ("NO_SUCH_KEY", "NOT_FOUND", "NOT FOUND")  # but not FileNotFoundError, which says so of the first request
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws/credentials or the machine's role",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login` or the machine's service account",
}


class ObjectFiles:
    """Names are relative to the prefix, with `/` between folders. Errors are OSError, as those of files."""

    def __init__(self, url: str):
        self.url = url
        parts = check_url(url)
        self.bucket = parts.netloc
        self.prefix = f"{parts.netloc}{parts.path}".rstrip("/")
        self._system: Any = None

    def __str__(self) -> str:
        return self.url

    def __reduce__(self) -> tuple[Any, ...]:
        """Only the URL travels: each process finds its own credentials."""
        return ObjectFiles, (self.url,)

    def below(self, name: str) -> "ObjectFiles":
        """The files of a folder inside this one."""
        return ObjectFiles(str(read_place(self.url).below(name).url))

    @property
    def shared(self) -> "ObjectFiles":
        """The files that every machine sees."""
        return self

    @property
    def system(self) -> Any:
        """pyarrow's file system; opened at the first use, as that takes a moment."""
        if self._system is None:
            self._system = open_system(self.url, ATTEMPTS)
        return self._system

    def check(self) -> None:
        """Raises RequestError, within seconds, for a bucket that is not there, may not be used or cannot be reached."""
        from pyarrow.fs import FileType

        with told(self.url):
            asked = open_system(self.url, FIRST_ATTEMPTS)
            found = asked.get_file_info(self.bucket)
            asked.get_file_info(self._path(FIRST_NAME))  # rights may end at the prefix
        if found.type == FileType.NotFound:
            raise RequestError(
                f"there is no bucket '{self.bucket}' for {self.url}; create it, or correct its name or region"
            )

    def write(self, name: str, content: Any) -> Seen:
        """Writes an object: bytes, or a buffer. Returns it as a listing has it."""
        return self.write_all({name: content})[name]

    def write_all(self, contents: Mapping[str, Any]) -> dict[str, Seen]:
        """Writes objects, several at once; returns when all are there."""
        # An interrupt reaches the main thread alone. There it could fall between the opening of an object and its content,
        # and what is closed then, if only by the end of the process, appears as a whole object without content.
        with ThreadPoolExecutor(min(AT_ONCE, max(1, len(contents)))) as pool:
            return dict(zip(contents, pool.map(self._put, contents, contents.values()), strict=True))

    def _put(self, name: str, content: Any) -> Seen:
        path = self._path(name)
        with _answering():
            with self.system.open_output_stream(path) as stream:
                stream.write(content)
            return _seen(self.system.get_file_info(path))

    def read(self, name: str) -> bytes:
        """The content of an object. Raises FileNotFoundError."""
        with _answering():
            return self._read(self._path(name))

    def _read(self, path: str) -> bytes:
        while True:
            try:
                with self.system.open_input_stream(path) as stream:
                    content = stream.read()
            except FileNotFoundError:
                raise
            except OSError as error:
                if not any(mark in str(error).upper() for mark in GONE):
                    raise
                continue  # removed since it was opened, and perhaps written again
            # pyarrow asks for the size first: of an object that was replaced since, it reads as much as of the old one.
            if self.system.get_file_info(path).size == len(content):
                return content

    def copy_to(self, name: str, descriptor: int, piece: int = 16 * 2**20) -> None:
        """Writes an object's content to an open file, a piece at a time."""
        with _answering(), self.system.open_input_stream(self._path(name)) as stream:
            while content := stream.read(piece):
                left = memoryview(content)
                while left:
                    left = left[os.write(descriptor, left) :]

    def exists(self, name: str) -> bool:
        with _answering():
            return bool(self.system.get_file_info(self._path(name)).is_file)

    def delete(self, name: str) -> None:
        """Removes an object, if it is there."""
        with contextlib.suppress(FileNotFoundError), _answering():
            self.system.delete_file(self._path(name))

    def tidy(self, folder: str) -> None:
        """Nothing: an object is there whole or not at all."""

    def listing(self, folder: str) -> dict[str, Seen]:
        """The objects directly in a folder by name; none where there is no folder."""
        return {name: seen for name, seen in self.walk(folder, recursive=False).items() if "/" not in name}

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder."""
        return sorted(info.base_name for info in self._infos(folder, recursive=False) if not info.is_file)

    def walk(self, folder: str, recursive: bool = True) -> dict[str, Seen]:
        """The objects below a folder, by their names from there."""
        start = len(self._path(folder).rstrip("/")) + 1
        return {info.path[start:]: _seen(info) for info in self._infos(folder, recursive) if info.is_file}

    def _infos(self, folder: str, recursive: bool) -> list[Any]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._path(folder).rstrip("/"), allow_not_found=True, recursive=recursive)
        with _answering():
            return list(self.system.get_file_info(selector))

    def _path(self, name: str) -> str:
        return f"{self.prefix}/{name}"


def open_place(text: str) -> Place:
    """As `read_place`. Raises RequestError as well for a storage that cannot be used from here."""
    place = read_place(text)
    if place.url is not None:
        ObjectFiles(place.url).check()
    return place


def open_system(url: str, attempts: int) -> Any:
    """pyarrow's file system for a URL, with waits of seconds where its own are of minutes."""
    from pyarrow import fs

    parts = urlsplit(url)
    options: dict[str, Any] = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "gs":
        options.pop("region", None)
        return fs.GcsFileSystem(
            **options, retry_time_limit=timedelta(seconds=REQUEST_S if attempts > FIRST_ATTEMPTS else CONNECT_S)
        )
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and "endpoint_override" not in options:
        options |= {"endpoint_override": urlsplit(endpoint).netloc, "scheme": urlsplit(endpoint).scheme}
    if "endpoint_override" in options:
        options.setdefault(
            "region", os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        )
    elif "region" not in options:
        with told(url):
            options["region"] = fs.resolve_s3_region(parts.netloc)
    return fs.S3FileSystem(
        **options,
        connect_timeout=CONNECT_S,
        request_timeout=REQUEST_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
        allow_delayed_open=True,  # a small object is then one request instead of three
    )


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Raises StorageError for what pyarrow says of the storage; what the disk says, and that an object is absent, stays."""
    try:
        yield
    except OSError as error:
        if error.errno is not None or isinstance(error, FileNotFoundError):
            raise
        raise StorageError(f"the object store fails: {str(error).splitlines()[0]}") from error


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Raises RequestError for what the storage answers to a first request. What it says of keys is not repeated."""
    parts = urlsplit(url)
    try:
        yield
    except OSError as error:
        said = str(error).upper()
        if "NO_SUCH_BUCKET" in said or ("BUCKET" in said and "NOT FOUND" in said):
            raise RequestError(
                f"there is no bucket '{parts.netloc}' for {url}; create it, or correct its name or region"
            ) from error
        if any(mark in said for mark in NO_ACCESS):
            raise RequestError(
                f"{url} refuses these credentials, or has none: it reads {CREDENTIALS[parts.scheme]}"
            ) from error
        if any(mark in said for mark in NO_NETWORK):
            raise RequestError(
                f"{url} cannot be reached from here; check the network, and the endpoint if it has one"
            ) from error
        raise RequestError(f"{url} cannot be used ({str(error).splitlines()[0]})") from error


def _seen(info: Any) -> Seen:
    return Seen(info.size, info.mtime_ns)
