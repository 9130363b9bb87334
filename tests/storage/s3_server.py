"""A small S3 on the loopback: the requests that pyarrow makes, with S3's promises and no others.

An object is there when its upload has ended, whole, and is listed from then on; times are whole seconds; nothing is renamed.
`FORESIGHT_TEST_S3=host:port` has the tests use another S3 server, with any keys, in its place.
"""

import hashlib
import io
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET = "test-key", "test-secret"


@dataclass
class Bucket:
    """Objects by key, as (content, second it was written), and uploads in parts that have not ended."""

    objects: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """One request. `server.buckets` holds what there is."""

    protocol_version = "HTTP/1.1"
    server: "S3Server"

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        name, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        body = self._body()
        with self.server.changing:
            bucket = self.server.buckets.get(name)
            if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
                return self._error(403, "AccessDenied")
            if bucket is None:
                return self._error(404, "NoSuchBucket")
            bucket.requests.append(f"{self.command} {key}")
            return getattr(self, f"_{self.command.lower()}")(bucket, key, query, body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_request

    def _get(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        if not key:
            return self._list(bucket, query)
        if key not in bucket.objects:
            return self._error(404, "NoSuchKey")
        content, second = bucket.objects[key]
        status, asked = 200, self.headers.get("Range", "")
        if asked and self.command == "GET":
            start, _, end = asked.removeprefix("bytes=").partition("-")
            content, status = content[int(start) : int(end) + 1 if end else None], 206
        return self._answer(status, content, {"Last-Modified": formatdate(second, usegmt=True)})

    def _head(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        return self._answer(200, b"") if not key else self._get(bucket, key, query, body)

    def _put(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        if "uploadId" in query:
            bucket.uploads[query["uploadId"]][int(query["partNumber"])] = body
        else:
            bucket.objects[key] = (body, int(time.time()))
        return self._answer(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _post(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        if "uploads" in query:
            number = f"upload-{len(bucket.requests)}"
            bucket.uploads[number] = {}
            return self._xml(
                f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
            )
        parts = bucket.uploads.pop(query["uploadId"])
        bucket.objects[key] = (b"".join(parts[n] for n in sorted(parts)), int(time.time()))
        return self._xml(f"<CompleteMultipartUploadResult><Key>{escape(key)}</Key></CompleteMultipartUploadResult>")

    def _delete(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        bucket.objects.pop(key, None)
        return self._answer(204, b"")

    def _list(self, bucket: Bucket, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after, most = query.get("continuation-token", ""), int(query.get("max-keys", "1000"))
        found, folders, last, truncated = [], [], "", False
        for key in sorted(k for k in bucket.objects if k.startswith(prefix) and k > after):
            if len(found) + len(folders) == most:
                truncated = True
                break
            rest, last = key[len(prefix) :], key
            if delimiter and delimiter in rest:
                folder = prefix + rest.partition(delimiter)[0] + delimiter
                if folder not in folders:
                    folders.append(folder)
                continue
            content, second = bucket.objects[key]
            modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(second))
            found.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><LastModified>{modified}</LastModified></Contents>"
            )
        common = "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders)
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if truncated else ""
        return self._xml(
            f"<ListBucketResult><IsTruncated>{str(truncated).lower()}</IsTruncated><KeyCount>{len(found)}</KeyCount>"
            f"<Prefix>{escape(prefix)}</Prefix>{''.join(found)}{common}{token}</ListBucketResult>"
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            raw = _read_chunks(self.rfile)
        else:
            raw = self.rfile.read(expected := int(self.headers.get("Content-Length") or 0))
            if len(raw) < expected:
                raise ConnectionResetError("the client died amid its upload: there is no object")
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return raw
        content = _read_chunks(
            io.BytesIO(raw)
        )  # S3's own chunks: signatures may follow their sizes, checksums their end
        assert len(content) == int(self.headers["x-amz-decoded-content-length"])
        return content

    def _error(self, status: int, code: str) -> None:
        self._xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)

    def _xml(self, text: str, status: int = 200) -> None:
        whole = f'<?xml version="1.0" encoding="UTF-8"?>{text}'
        self._answer(status, whole.encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


def _read_chunks(stream: BinaryIO) -> bytes:
    """The content of `<size in hex>[;...]\r\n<bytes>\r\n ... 0\r\n<trailers>\r\n\r\n`."""
    content = b""
    while size := int(stream.readline().partition(b";")[0], 16):
        content += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return content


class S3Server(ThreadingHTTPServer):
    """Buckets by name, served at a free port."""

    daemon_threads = True
    request_queue_size = 128  # on a busy machine more than a few connections wait

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.changing = threading.Lock()
        self.buckets = {"bucket": Bucket()}

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that die are part of what is tested."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def s3_endpoint() -> Iterator[tuple[str, S3Server | None]]:
    """host:port of an S3 with an empty bucket named `bucket`, and the server where it is ours."""
    other = os.environ.get("FORESIGHT_TEST_S3")
    if other:
        yield other, None
        return
    server = S3Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.endpoint, server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
