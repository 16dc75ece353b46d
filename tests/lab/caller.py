"""A gRPC client in a process and, if wanted, a user of its own: calls each method named on its standard
input with an empty request and prints the status of each, for tests of who may do what.

    caller.py [--tls CA CERT KEY] [--detail] TARGET [UID [GID]]

--detail: what the server, or gRPC, said besides, on the same line.
"""
import argparse
import os
import sys


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=3, metavar=("CA", "CERT", "KEY"))
    parser.add_argument("--detail", action="store_true")
    parser.add_argument("target")
    parser.add_argument("uid", nargs="?", type=int)
    parser.add_argument("gid", nargs="?", type=int)
    return parser.parse_args()


def become(uid, gid):
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def connect(grpc, args):
    if not args.tls:
        return grpc.insecure_channel(args.target)
    ca, cert, key = (open(path, "rb").read() if path else None for path in args.tls)
    return grpc.secure_channel(args.target, grpc.ssl_channel_credentials(ca, key, cert))


def main():
    args = arguments()
    if args.uid is not None:
        become(args.uid, args.uid if args.gid is None else args.gid)
    import grpc  # pylint: disable=import-outside-toplevel  # its threads begin as the user
    channel = connect(grpc, args)
    for line in sys.stdin:
        method = line.strip()
        try:
            for _ in channel.unary_stream(method)(b"", timeout=20):
                break
            said = "OK"
        except grpc.RpcError as e:
            said = f"{e.code().name} {e.details()}" if args.detail else e.code().name
        print(method, said, flush=True)


main()
