"""httpd: health and metrics on the internal listener."""

import http.client
import re
import socket

import mox
import pytest

pytestmark = pytest.mark.http


def get(suite, path, method="GET", port="metrics"):
    connection = http.client.HTTPConnection(mox.HOST, suite.ports[port], timeout=mox.TIMEOUT)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def raw(suite, data):
    with socket.create_connection((mox.HOST, suite.ports["metrics"]), timeout=10 * mox.SLOW) as s:
        s.sendall(data)
        answer = b""
        try:
            while piece := s.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        except socket.timeout:
            if not answer:
                raise
        return answer


def test_healthz(suite):
    response, body = get(suite, "/healthz")
    assert response.status == 200, body
    assert body


def test_head(suite):
    response, body = get(suite, "/healthz", "HEAD")
    assert response.status == 200 and body == b""


def test_unknown_path(suite):
    assert get(suite, "/nothing")[0].status == 404


def test_other_method(suite):
    assert get(suite, "/healthz", "POST")[0].status in (405, 501)


def test_keep_alive(suite):
    connection = http.client.HTTPConnection(mox.HOST, suite.ports["metrics"], timeout=mox.TIMEOUT)
    for _ in range(3):
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    connection.close()


LINE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="(\\.|[^"\\])*",?)*\})? (NaN|[+-]Inf|[-+0-9.eE]+)( \d+)?')


def test_metrics_are_prometheus_text(suite):
    response, body = get(suite, "/metrics")
    assert response.status == 200
    assert response.getheader("Content-Type").startswith("text/plain")
    lines = body.decode().splitlines()
    assert body.endswith(b"\n")
    samples = [line for line in lines if line and not line.startswith("#")]
    assert samples
    for line in samples:
        assert LINE.fullmatch(line), line
    assert any(line.startswith("# TYPE mox_") for line in lines)
    assert len(set(s.rsplit(" ", 1)[0] for s in samples)) == len(samples), "a sample twice"


def test_metrics_count(suite):
    """Something in the metrics moves when a message comes in."""

    def values():
        return {l.rsplit(" ", 1)[0]: l.rsplit(" ", 1)[1] for l in get(suite, "/metrics")[1].decode().splitlines() if l[:1] != "#"}

    before = values()
    suite.deliver(mox.message())
    moved = mox.wait_for(
        lambda: [name for name, value in values().items() if "smtp" in name and before.get(name) != value],
        10,
        "a metric of smtpd that counts deliveries or connections",
        interval=0.2,
    )
    assert moved


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x00\xff\r\n\r\n",
    ],
    ids=["word", "version", "long path", "many headers", "length", "both lengths", "binary"],
)
def test_bad_requests(suite, request_bytes):
    answer = raw(suite, request_bytes)
    assert answer == b"" or re.match(rb"HTTP/1\.[01] [45]\d\d ", answer), answer[:200]
    assert get(suite, "/healthz")[0].status == 200


def test_http_and_https_listen(suite):
    for port in ("http", "https"):
        socket.create_connection((mox.HOST, suite.ports[port]), timeout=5).close()
