"""Which HTTP library pushes fastest: PUTs with keep-alive from some threads against a sandbox.

    python benchmarks/http_clients.py [--threads 4 8] [--seconds 2] [--rounds 3] [--only urllib3]

The sandbox runs in a process of its own. Libraries that are not installed are left out; niquests
wants a virtual environment of its own, since it may replace urllib3. `http.client` on one
connection a thread is the bare loop that the others are compared with. `pfa` is its own HTTP client.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import importlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
RECORDS = 64
HEADERS = {
    "Authorization": "Basic " + base64.b64encode(b"pfa:secret").decode(),
    "Content-Type": "application/json",
    "Accept": "application/json",
    "tenant": "T",
    "organization": "RIO",
}
SERVER = """
import sys
from pfa_core.pems.sandbox.server import Sandbox
records = [{"pfaId": f"R-{n}", "monthlyRate": 1} for n in range(int(sys.argv[1]))]
with Sandbox(organization="RIO", records=records) as sandbox:
    print(sandbox.url, flush=True)
    sys.stdin.read()
"""
# Sends one PUT: path, body, idempotency key → status and body.
Send = Callable[[str, bytes, str], tuple[int, bytes]]
# Makes the sender of one thread out of the base address; the list is shared by all threads.
Client = Callable[[str, int, list[object]], Send]


@contextmanager
def sandbox() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(RECORDS)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate("")


def bare(url: str, _: int, __: list[object]) -> Send:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)

    def send(path: str, body: bytes, key: str) -> tuple[int, bytes]:
        connection.request("PUT", path, body, {**HEADERS, "Idempotency-Key": key})
        response = connection.getresponse()
        return response.status, response.read()

    return send


def by_urllib3(url: str, threads: int, shared: list[object]) -> Send:
    import urllib3

    if not shared:
        shared.append(urllib3.connectionpool.connection_from_url(url, maxsize=threads, timeout=30))
    pool = shared[0]
    assert isinstance(pool, urllib3.HTTPConnectionPool)

    def send(path: str, body: bytes, key: str) -> tuple[int, bytes]:
        headers = {**HEADERS, "Idempotency-Key": key}
        response = pool.urlopen("PUT", path, body, headers, retries=False, redirect=False)
        return response.status, response.data

    return send


def by_requests(url: str, _: int, __: list[object], library: str = "requests") -> Send:
    session = importlib.import_module(library).Session()
    session.headers.update(HEADERS)

    def send(path: str, body: bytes, key: str) -> tuple[int, bytes]:
        response = session.put(url + path, data=body, headers={"Idempotency-Key": key}, timeout=30)
        return response.status_code, response.content

    return send


def by_niquests(url: str, threads: int, shared: list[object]) -> Send:
    return by_requests(url, threads, shared, "niquests")


def by_httpx(url: str, _: int, shared: list[object]) -> Send:
    import httpx

    if not shared:
        shared.append(httpx.Client(base_url=url, headers=HEADERS, timeout=30))
    client = shared[0]
    assert isinstance(client, httpx.Client)

    def send(path: str, body: bytes, key: str) -> tuple[int, bytes]:
        response = client.put(path, content=body, headers={"Idempotency-Key": key})
        return response.status_code, response.content

    return send


def by_pycurl(url: str, _: int, __: list[object]) -> Send:
    from io import BytesIO

    import pycurl

    curl = pycurl.Curl()
    curl.setopt(pycurl.CUSTOMREQUEST, "PUT")
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.TIMEOUT, 30)
    fixed = [f"{name}: {value}" for name, value in HEADERS.items()]

    def send(path: str, body: bytes, key: str) -> tuple[int, bytes]:
        answer = BytesIO()
        curl.setopt(pycurl.URL, url + path)
        curl.setopt(pycurl.HTTPHEADER, [*fixed, f"Idempotency-Key: {key}", "Expect:"])
        curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.WRITEDATA, answer)
        curl.perform()
        return curl.getinfo(pycurl.RESPONSE_CODE), answer.getvalue()

    return send


def by_pfa(url: str, threads: int, shared: list[object]) -> Send:
    from pfa_core.model.secret import Secret
    from pfa_core.pems.http.client import Answer, HttpClient

    if not shared:
        shared.append(
            HttpClient(
                url,
                username="pfa",
                password=Secret("secret"),
                headers={"tenant": "T", "organization": "RIO"},
                concurrency=threads,
            )
        )
    client = shared[0]
    assert isinstance(client, HttpClient)

    def send(path: str, body: bytes, key: str) -> tuple[int, bytes]:
        answer = client.request("PUT", path, body, {"Idempotency-Key": key})
        assert isinstance(answer, Answer), answer
        return answer.status, answer.body

    return send


CLIENTS: dict[str, tuple[str, Client]] = {
    "http.client": ("http.client", bare),
    "urllib3": ("urllib3", by_urllib3),
    "requests": ("requests", by_requests),
    "httpx": ("httpx", by_httpx),
    "niquests": ("niquests", by_niquests),
    "pycurl": ("pycurl", by_pycurl),
    "pfa": ("pfa_core.pems.http.client", by_pfa),
}


def throughput(client: Client, threads: int, seconds: float) -> float:
    """PUTs a second; each thread writes records of its own, on the version of the last answer."""
    counts = [0] * threads
    shared: list[object] = []
    with sandbox() as url:
        senders = [client(url, threads, shared) for _ in range(threads)]
        stop = threading.Event()

        def work(number: int) -> None:
            pfa_id, version, send = f"R-{number}", 1, senders[number]
            while not stop.is_set():
                body = _body(pfa_id, version)
                status, answer = send(f"/api/pems/pfa/{pfa_id}", body, f"{number}-{version}")
                assert status == 200, answer
                version = json.loads(answer)["newVersion"]
                counts[number] += 1

        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        time.sleep(seconds)
        stop.set()
        for worker in workers:
            worker.join()
        return sum(counts) / (time.perf_counter() - started)


def _body(pfa_id: str, version: int) -> bytes:
    return json.dumps(
        {
            "pfaId": pfa_id,
            "organizationCode": "RIO",
            "changes": {"forecastStart": "2026-01-05", "monthlyRate": version},
            "version": version,
            "modifiedBy": "ann",
            "changeReason": "weather",
        }
    ).encode()


def import_time(module: str) -> float:
    """Milliseconds that a fresh interpreter takes longer with the import than without."""

    def run(code: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        return time.perf_counter() - started

    times = [run(f"import {module}") - run("pass") for _ in range(9)]
    return statistics.median(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(CLIENTS), choices=CLIENTS)
    given = parser.parse_args()
    chosen = {name: CLIENTS[name] for name in given.only if _installed(CLIENTS[name][0])}
    figures: dict[tuple[str, int], list[float]] = {}
    # Round by round, so that a busy minute of the machine meets all of them.
    for _ in range(given.rounds):
        for name, (_module, client) in chosen.items():
            for threads in given.threads:
                rate = throughput(client, threads, given.seconds)
                figures.setdefault((name, threads), []).append(rate)
    print(
        "library".ljust(14),
        *(f"{threads} threads".rjust(12) for threads in given.threads),
        "import",
    )
    for name, (module, _client) in chosen.items():
        rates = [f"{statistics.median(figures[name, threads]):,.0f}/s" for threads in given.threads]
        print(name.ljust(14), *(rate.rjust(12) for rate in rates), f"{import_time(module):5.0f} ms")


def _installed(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main()
