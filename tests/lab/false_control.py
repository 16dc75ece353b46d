"""A server that pretends to be the control plane, over TLS:

    false_control.py ADDRESS PORT CERT KEY CA RECORD

It answers GET /api/ca with the file CA and closes after all else. Every byte that it reads after a
handshake goes to the file RECORD. Standard error says "ready", and has a line for each handshake that
was refused.
"""
import socket
import ssl
import sys
import threading


def serve(connection, context, ca, record):
    connection.settimeout(10)
    try:
        with context.wrap_socket(connection, server_side=True) as session:
            print("handshake", file=sys.stderr, flush=True)
            request = b""
            while b"\r\n\r\n" not in request and (got := session.recv(65536)):
                with open(record, "ab") as out:
                    out.write(got)
                request += got
            if request.startswith(b"GET /api/ca "):
                session.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-pem-file\r\n"
                                b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(ca) + ca)
    except (OSError, ssl.SSLError) as error:
        print(f"refused: {error}", file=sys.stderr, flush=True)


def main():
    address, port, cert, key, ca_file, record = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with open(ca_file, "rb") as pem:
        ca = pem.read()
    listener = socket.create_server((address, int(port)), backlog=64)
    print('msg="ready"', file=sys.stderr, flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context, ca, record), daemon=True).start()


if __name__ == "__main__":
    main()
