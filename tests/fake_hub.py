"""A small server on this machine that talks to huggingface_hub's real client as the hub does."""

import contextlib
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

import huggingface_hub

SHA = "0123456789abcdef" * 2 + "01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """The hub's answers about the repository a/b.

    Its `server` holds the files, checksums to be told in place of the true ones, after how many bytes it breaks off,
    how long it waits after each block of 1,000 bytes, and a list of (first byte, size) of what it was asked to send.
    """

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path.removeprefix("/api/models/a/b")
        if "/resolve/" in path:
            return self.file(path.split(f"/resolve/{SHA}/")[1])
        if path.startswith("/tree/"):
            return self.say([{"type": "file", "path": name, "oid": self.server.git_sha1(name)} | self.size(name, "oid")
                             for name in self.server.files])  # fmt: skip
        siblings = [{"rfilename": name} | self.size(name, "sha256") for name in self.server.files]
        self.say({"id": "a/b", "sha": SHA, "siblings": siblings, "cardData": {"license": "openrail"}})

    do_HEAD = do_GET

    def size(self, name, key):
        """Its length, and of a large file the checksum under that key."""
        size = len(self.server.files[name])
        lfs = {"lfs": {key: self.server.sum(name), "size": size, "pointerSize": 1}}
        return {"size": size} | (lfs if name.endswith(".safetensors") else {})

    def say(self, answer):
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def file(self, name):
        data = self.server.files[name]
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if begin else 200)
        tag = f'"{self.server.sum(name)}"'
        for key, value in {"ETag": tag, "X-Linked-ETag": tag, "X-Linked-Size": len(data), "X-Repo-Commit": SHA,
                           "Content-Length": len(data) - begin}.items():  # fmt: skip
            self.send_header(key, str(value))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.server.sent.append((begin, len(data)))
            rest = data[begin : self.server.breaks_off]
            for start in range(0, len(rest), 1000):
                with contextlib.suppress(OSError):  # who has seen enough hangs up
                    self.wfile.write(rest[start : start + 1000])
                time.sleep(self.server.waits)
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Hub)
        self.files = {path.relative_to(folder).as_posix(): path.read_bytes()
                      for path in folder.rglob("*") if path.is_file()}  # fmt: skip
        self.wrong, self.breaks_off, self.waits, self.sent = {}, None, 0, []

    def sum(self, name):
        return self.wrong.get(name) or hashlib.sha256(self.files[name]).hexdigest()

    def git_sha1(self, name):
        data = self.files[name]
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextlib.contextmanager
def serve(folder, cache, monkeypatch):
    """The hub with the files of that folder as a/b; this process asks it, and keeps what it gets in `cache`."""
    server = Server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    for name, value in {"ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True,
                        "HUGGINGFACE_CO_URL_TEMPLATE": endpoint + "/{repo_id}/resolve/{revision}/{filename}"}.items():  # fmt: skip
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    yield server
    server.shutdown()
    server.server_close()
