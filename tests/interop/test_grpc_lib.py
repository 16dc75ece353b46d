"""lib/rpc's server against python3-grpcio, a client that others wrote, and against bytes nobody should
send. Expected bytes are literals where the contract is public: health and reflection.

Runs the program interop_rpc_server of the build that QUILT_BUILD names."""
import random
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from messages import BUILD, message_class

SERVER = BUILD / "tests/interop/interop_rpc_server"
DEADLINE_S = 20
REFLECTIONS = ["grpc.reflection.v1", "grpc.reflection.v1alpha"]
SERVICES = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection", "quilt.QuiltRuntime"]
SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


class Server:
    """One running server, its log, and a client's channel to it."""

    def __init__(self, log, listen="127.0.0.1:0"):
        self.log = log
        with open(log, "w", encoding="utf-8") as err:
            self.process = subprocess.Popen([SERVER, listen], stdout=subprocess.PIPE, stderr=err, text=True)
        self.port = int(self.process.stdout.readline())
        self.target = listen if listen.startswith("unix:") else f"127.0.0.1:{self.port}"
        self.channel = self.connect()

    def connect(self):
        return grpc.insecure_channel(self.target, options=[("grpc.use_local_subchannel_pool", 1)])

    def call(self, method, request=b"", **options):
        """A unary call with raw bytes."""
        return self.channel.unary_unary(method)(request, timeout=options.pop("timeout", DEADLINE_S), **options)

    def fails(self, method, request=b"", **options):
        """The status and the text of a call that must fail."""
        with pytest.raises(grpc.RpcError) as caught:
            self.call(method, request, **options)
        return caught.value.code().name, caught.value.details()

    def is_alive(self):
        return self.process.poll() is None and self.call("/grpc.health.v1.Health/Check") == SERVING

    def stop(self):
        """Ends it as systemd would; what it says about itself must be clean."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE_S)
        self.channel.close()
        self.process.stdout.close()
        text = Path(self.log).read_text(encoding="utf-8")
        assert not re.search(r"Sanitizer|runtime error", text), text
        assert status == 0, text


@pytest.fixture(name="own_server")
def fixture_own_server(tmp_path):
    server = Server(tmp_path / "log")
    yield server
    server.stop()


@pytest.fixture(scope="module", name="server")
def fixture_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server") / "log")
    yield server
    server.stop()


# ---- calls ---------------------------------------------------------------------------------------

CONFIGURE = "/quilt.QuiltRuntime/ConfigureNodeSubnet"


def test_a_client_of_the_first_release_is_understood(server):
    # subnet = 1: "10.42.1.0/24"; the reply: success = 1: true, error = 2: the same text
    assert server.call(CONFIGURE, b"\x0a\x0c10.42.1.0/24") == b"\x08\x01\x12\x0c10.42.1.0/24"


def test_a_status_and_its_text_arrive(server):
    assert server.fails("/quilt.QuiltRuntime/InjectRoute", b"\x0a\x04fail") == (
        "UNAVAILABLE", 'no "fail" today: 100% ü')


@pytest.mark.parametrize("method", ["/quilt.QuiltRuntime/Nope", "/quilt.Other/InjectRoute", "/", "/a",
                                    "/" + "x" * 5000, CONFIGURE + "/"])
def test_an_unknown_method_is_unimplemented(server, method):
    assert server.fails(method)[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize("request_bytes", [b"\xff\xff", b"\x0a", b"\x0a\x02\xff\xfe", b"\x0a\x02a\x00", b"\x08\x01",
                                           b"\x18\x01" * 5000])
def test_a_message_that_does_not_parse_is_an_invalid_argument(server, request_bytes):
    status, text = server.fails(CONFIGURE, request_bytes)
    assert status == "INVALID_ARGUMENT"
    assert text.startswith("quilt.ConfigureNodeSubnetRequest")


def test_random_messages_are_answered_somehow(server):
    rand = random.Random(81)
    for method in (CONFIGURE, "/grpc.health.v1.Health/Check"):
        for _ in range(300):
            try:
                server.call(method, rand.randbytes(rand.randrange(40)))
            except grpc.RpcError as e:
                assert e.code().name in ("INVALID_ARGUMENT", "NOT_FOUND")
    assert server.is_alive()


def test_no_message_is_an_invalid_argument(server):
    with pytest.raises(grpc.RpcError) as caught:
        server.channel.stream_unary(CONFIGURE)(iter([]), timeout=DEADLINE_S)
    assert caught.value.code().name == "INVALID_ARGUMENT"


def test_a_message_over_4_mib_exhausts_resources(server):
    limit = 4 << 20
    padding = b"\x22\xfb\xff\xff\x01" + bytes(limit - 5)  # field 4, unknown
    assert len(padding) == limit
    assert server.call(CONFIGURE, padding) == b"\x08\x01"
    assert server.fails(CONFIGURE, padding + b"\x00")[0] == "RESOURCE_EXHAUSTED"
    assert server.is_alive()


def test_a_compressed_message_is_read(server):
    request = b"\x0a\xc8\x01" + b"a" * 200
    reply = server.call(CONFIGURE, request, compression=grpc.Compression.Gzip)
    assert reply == b"\x08\x01\x12\xc8\x01" + b"a" * 200


def test_a_deadline_and_a_cancelled_call_harm_nobody(server):
    held = "/quilt.QuiltRuntime/RemoveRoute"
    assert server.fails(held, timeout=0.05)[0] == "DEADLINE_EXCEEDED"
    call = server.channel.unary_unary(held).future(b"", timeout=DEADLINE_S)
    call.cancel()
    assert call.code().name == "CANCELLED"
    assert server.is_alive()


def test_a_unix_socket_serves_too(tmp_path):
    server = Server(tmp_path / "log", f"unix:{tmp_path}/socket")
    assert server.port == 0
    assert server.is_alive()
    server.stop()
    assert not (tmp_path / "socket").exists()


def test_more_calls_at_once_than_it_holds_are_turned_down(own_server):
    channels = [own_server.connect() for _ in range(10)]
    calls = [c.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=DEADLINE_S)
             for c in channels for _ in range(120)]
    answers = []
    for call in calls:
        try:
            answers.append(next(call))
        except grpc.RpcError as e:
            answers.append(e.code().name)
    assert answers.count(SERVING) == 1024
    assert answers.count("RESOURCE_EXHAUSTED") == 1200 - 1024
    for channel in channels:
        channel.close()
    calls.clear()
    for _ in range(100):  # until it has noticed
        try:
            assert own_server.is_alive()
            return
        except grpc.RpcError as e:
            assert e.code().name == "RESOURCE_EXHAUSTED"
    pytest.fail("calls that are gone still count")


# ---- health --------------------------------------------------------------------------------------

@pytest.mark.parametrize("service", [b"", b"quilt.QuiltRuntime"])
def test_health_is_serving(server, service):
    request = b"\x0a" + bytes([len(service)]) + service if service else b""
    assert server.call("/grpc.health.v1.Health/Check", request) == SERVING


def test_health_of_an_unknown_service_is_not_found(server):
    assert server.fails("/grpc.health.v1.Health/Check", b"\x0a\x01x") == ("NOT_FOUND", 'unknown service "x"')


def test_health_lists_what_it_knows(server):
    # statuses = 1, a map: key = 1, value = 2 {status = 1}
    assert server.call("/grpc.health.v1.Health/List") in (
        b"\x0a\x06\x0a\x00\x12\x02\x08\x01\x0a\x18\x0a\x12quilt.QuiltRuntime\x12\x02\x08\x01",
        b"\x0a\x04\x12\x02\x08\x01\x0a\x18\x0a\x12quilt.QuiltRuntime\x12\x02\x08\x01")


def test_a_watch_of_an_unknown_service_stays_open(server):
    watch = server.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\x0a\x01x", timeout=DEADLINE_S)
    assert next(watch) == SERVICE_UNKNOWN
    assert server.is_alive()
    assert watch.is_active()
    watch.cancel()


def test_watchers_learn_that_it_stops(own_server):
    watch = own_server.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=DEADLINE_S)
    assert next(watch) == SERVING
    own_server.process.send_signal(signal.SIGTERM)
    assert next(watch) == NOT_SERVING
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    assert (caught.value.code().name, caught.value.details()) == ("UNAVAILABLE", "the server stops")


def test_whoever_asks_while_it_stops_learns_it(own_server):
    watch = own_server.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=DEADLINE_S)
    assert next(watch) == SERVING
    own_server.process.send_signal(signal.SIGTERM)
    assert next(watch) == NOT_SERVING
    assert own_server.call("/grpc.health.v1.Health/Check") == NOT_SERVING


def test_a_call_that_is_held_does_not_keep_it_from_stopping(own_server):
    call = own_server.channel.unary_unary("/quilt.QuiltRuntime/RemoveRoute").future(b"", timeout=DEADLINE_S)
    assert own_server.is_alive()
    own_server.stop()
    assert call.code().name in ("CANCELLED", "UNAVAILABLE")


# ---- reflection ----------------------------------------------------------------------------------

class Reflection:
    """One reflection stream: ask() sends a request and waits for its answer."""

    def __init__(self, server, package):
        self.package = package
        self.request = message_class(f"{package}.ServerReflectionRequest")
        response = message_class(f"{package}.ServerReflectionResponse")
        self.requests = []
        self.ready = threading.Semaphore(0)
        self.replies = server.channel.stream_stream(
            f"/{package}.ServerReflection/ServerReflectionInfo",
            request_serializer=self.request.SerializeToString,
            response_deserializer=response.FromString)(self.feed(), timeout=DEADLINE_S)

    def feed(self):
        while True:
            self.ready.acquire()
            if not self.requests:
                return
            yield self.requests.pop(0)

    def ask(self, **fields):
        request = self.request(host="h", **fields)
        self.requests.append(request)
        self.ready.release()
        reply = next(self.replies)
        assert reply.valid_host == "h"
        assert reply.original_request == request
        return reply

    def files(self, **fields):
        reply = self.ask(**fields)
        assert reply.WhichOneof("message_response") == "file_descriptor_response"
        return [descriptor_pb2.FileDescriptorProto.FromString(b)
                for b in reply.file_descriptor_response.file_descriptor_proto]

    def error(self, **fields):
        reply = self.ask(**fields)
        assert reply.WhichOneof("message_response") == "error_response"
        return reply.error_response.error_code

    def finish(self):
        """Says all has been said; the server ends the stream with OK."""
        self.ready.release()
        assert list(self.replies) == []
        assert self.replies.code() == grpc.StatusCode.OK


@pytest.fixture(name="reflection", params=REFLECTIONS)
def fixture_reflection(request, server):
    reflection = Reflection(server, request.param)
    yield reflection
    reflection.finish()


def test_reflection_lists_all_services(reflection):
    reply = reflection.ask(list_services="*")
    assert sorted(s.name for s in reply.list_services_response.service) == SERVICES
    reply = reflection.ask(list_services="")
    assert len(reply.list_services_response.service) == len(SERVICES)


@pytest.mark.parametrize("symbol, name", [
    ("quilt.QuiltRuntime", "quilt.proto"),
    ("quilt.QuiltRuntime.InjectRoute", "quilt.proto"),
    ("quilt.InjectRouteRequest", "quilt.proto"),
    ("grpc.health.v1.Health", "grpc/health/v1/health.proto"),
    ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
    ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
    ("grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"),
])
def test_reflection_finds_the_file_of_a_symbol_and_by_its_name(reflection, symbol, name):
    assert [f.name for f in reflection.files(file_containing_symbol=symbol)] == [name]
    assert [f.name for f in reflection.files(file_by_filename=name)] == [name]


def test_what_reflection_does_not_know_is_not_found_and_no_failure(reflection):
    assert reflection.error(file_containing_symbol="quilt.Nope") == 5
    assert reflection.error(file_containing_symbol="") == 5
    assert reflection.error(file_by_filename="nope.proto") == 5
    assert reflection.error(all_extension_numbers_of_type="quilt.Nope") == 5
    assert reflection.error(all_extension_numbers_of_type="quilt.QuiltRuntime") == 5
    assert reflection.error(file_containing_extension={"containing_type": "quilt.Route", "extension_number": 1}) == 5


def test_a_known_type_has_no_extensions(reflection):
    reply = reflection.ask(all_extension_numbers_of_type="quilt.Route")
    assert reply.all_extension_numbers_response.base_type_name == "quilt.Route"
    assert list(reply.all_extension_numbers_response.extension_number) == []


def test_asking_reflection_for_nothing_is_an_invalid_argument(reflection):
    assert reflection.error() == 3


def test_a_method_can_be_called_with_what_reflection_tells(server, reflection):
    """What grpcurl does: find the method's types by reflection, then call it."""
    pool = descriptor_pool.DescriptorPool()
    for file in reflection.files(file_containing_symbol="quilt.QuiltRuntime"):
        pool.Add(file)
    method = pool.FindServiceByName("quilt.QuiltRuntime").methods_by_name["ConfigureNodeSubnet"]
    request = message_class(method.input_type.full_name, pool)(subnet="10.42.1.0/24")
    reply = message_class(method.output_type.full_name, pool).FromString(
        server.call(CONFIGURE, request.SerializeToString()))
    assert (reply.success, reply.error) == (True, "10.42.1.0/24")


def test_a_bad_reflection_request_ends_the_stream(server):
    stream = server.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        list(stream(iter([b"\x22\x01\xff"]), timeout=DEADLINE_S))
    assert caught.value.code().name == "INVALID_ARGUMENT"


# ---- what is no gRPC -----------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def frame(rand):
    """An HTTP/2 frame with a likely head and unlikely content."""
    content = rand.randbytes(rand.randrange(60))
    return (len(content).to_bytes(3, "big") + bytes([rand.randrange(11), rand.randrange(256)])
            + rand.randrange(8).to_bytes(4, "big") + content)


def send_raw(port, data):
    """Sends bytes to the port and reads until the server has had enough or the client has."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass


@pytest.mark.parametrize("data", [
    b"", b"\x00", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    PREFACE, PREFACE + SETTINGS, PREFACE[:10], PREFACE + b"\xff" * 1000,
    PREFACE + SETTINGS + b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x80",  # HEADERS with a bad index
    PREFACE + SETTINGS + b"\x00\x00\x04\x09\x04\x00\x00\x00\x01\x82\x86\x84\x41",  # CONTINUATION of nothing
    PREFACE + SETTINGS + b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8) * 1,
    PREFACE + SETTINGS + b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678" * 200,  # a flood of PINGs
], ids=lambda data: data[:30].hex() or "nothing")
def test_what_is_no_grpc_is_cut_off(server, data):
    send_raw(server.port, data)
    assert server.is_alive()


def test_random_bytes_and_random_frames_do_no_harm(server):
    rand = random.Random(4789)
    for _ in range(40):
        send_raw(server.port, rand.randbytes(rand.randrange(1, 300)))
        send_raw(server.port, PREFACE + SETTINGS + b"".join(frame(rand) for _ in range(rand.randrange(1, 12))))
    assert server.is_alive()
