"""An S3 of our own on this machine: lists a bucket and hands out objects, enough for whoever reads one.

Knows nothing of the package, and signatures not at all. It runs in a process of its own: a reader that waits for an
answer may keep the threads of its own process from giving one.

    with serve(folder) as address: ...  # the files below the folder are the objects of the bucket BUCKET
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"
PAGE = 7


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a server."""
    with subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif not key:
            self.answer(200, self.listing({name: values[0] for name, values in parse_qs(url.query).items()}))
        elif not (self.folder / key).is_file():
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self.object((self.folder / key).read_bytes())

    do_HEAD = do_GET

    def object(self, data: bytes) -> None:
        """The object, or the range of it that is asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self.answer(200, data)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        self.answer(206, data[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def listing(self, asked: dict[str, str]) -> bytes:
        """A page of keys after a token, as ListObjectsV2 answers, folders told apart if a delimiter is asked for."""
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        sizes = {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in self.folder.rglob("*.*")}
        names: dict[str, bool] = {}
        for key in sorted(sizes):
            if key.startswith(prefix):
                head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key[len(prefix) :], "", "")
                names[prefix + head + found] = bool(found)
        page = [name for name in names if name > asked.get("continuation-token", "")]
        more, page = len(page) > PAGE, page[:PAGE]
        body = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            if names[name]
            else f"<Contents><Key>{escape(name)}</Key><Size>{sizes[name]}</Size>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            for name in page
        ]
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            "<?xml version='1.0' encoding='UTF-8'?>"
            "<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
            f"<MaxKeys>{PAGE}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(body)}"
            "</ListBucketResult>"
        ).encode()

    def answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("ETag", "x")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


if __name__ == "__main__":
    handler = type("Handler", (_Handler,), {"folder": Path(sys.argv[1])})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        print(f"http://127.0.0.1:{serving.server_address[1]}", flush=True)  # noqa: T201 - to whoever started it
        serving.serve_forever()
