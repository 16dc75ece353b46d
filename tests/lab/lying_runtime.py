"""A runtime on 127.0.0.1:50051 that lies to its agent, with Debian's python3-grpcio:

    lying_runtime.py LIE        hang     takes calls and never answers
                                success  says that all is done and does nothing
                                refusal  each call fails, each time in other words
                                routes   takes the subnet, refuses each route
                                huge     answers with 16 MiB
                                garbage  answers with what is no message
                                fields   answers with fields of other types
                                status   ends calls with a gRPC status
                                close    ends itself when it is called

Standard error says "ready".
"""
import itertools
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

COUNTER = itertools.count()
SUCCESS = b"\x08\x01"


def refuse(*_):
    words = b"no %d" % next(COUNTER)
    return b"\x12" + bytes([len(words)]) + words


def end(_, context):
    context.abort(grpc.StatusCode.PERMISSION_DENIED, f"no {next(COUNTER)}")


LIES = {
    "hang": lambda method: lambda *_: threading.Event().wait(),
    "success": lambda method: lambda *_: SUCCESS,
    "refusal": lambda method: refuse,
    "routes": lambda method: refuse if "Route" in method else lambda *_: SUCCESS,
    "huge": lambda method: lambda *_: b"\x12\x80\x80\x80\x08" + b"x" * (16 << 20),
    "garbage": lambda method: lambda *_: b"\xff" * 100,
    "fields": lambda method: lambda *_: b"\x0a\x03abc\x10\x05",
    "status": lambda method: end,
    "close": lambda method: lambda *_: os._exit(0),
}


class Liar(grpc.GenericRpcHandler):
    def service(self, handler_call_details):
        answer = LIES[sys.argv[1]](handler_call_details.method)
        return grpc.unary_unary_rpc_method_handler(answer)


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(256), handlers=[Liar()])
    assert server.add_insecure_port("127.0.0.1:50051")
    server.start()
    print('msg="ready"', file=sys.stderr, flush=True)
    threading.Event().wait()
