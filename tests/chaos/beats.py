"""Honest heartbeats while something else goes on."""
import http.client
import threading
import time


class Beats(threading.Thread):
    """Heartbeats until it is left, each node's in turn, over a connection that lasts, or over a new one each
    time. A beat without an answer in 1 s is missed. connect: makes a connection. A lasting one that was closed
    between two beats is opened again, as agents do; that is counted."""

    def __init__(self, plane, ids, is_new_each, connect=None, source=None):
        super().__init__()
        self.plane, self.ids, self.is_new_each, self.source = plane, ids, is_new_each, source
        self.make = connect or (lambda: plane.connect(1))
        self.took_s, self.missed, self.reopened = [], 0, 0
        self.is_over = False

    def connect(self):
        connection = self.make()
        if self.source:
            connection.source_address = (self.source, 0)
        return connection

    def beat(self, connection, node_id):
        """Whether it was answered well; None: the connection had been closed."""
        was_open = connection.sock is not None
        try:
            return self.plane.beat(node_id, connection) == 200
        except (ConnectionError, http.client.RemoteDisconnected):
            connection.close()
            return None if was_open else False
        except (OSError, http.client.HTTPException):
            connection.close()
            return False

    def run(self):
        connection = self.connect()
        while not self.is_over:
            for node_id in self.ids:
                began = time.monotonic()
                answered = self.beat(connection, node_id)
                if answered is None:
                    self.reopened += 1
                    answered = self.beat(connection, node_id)
                if answered and time.monotonic() - began < 1:
                    self.took_s.append(time.monotonic() - began)
                else:
                    self.missed += 1
                if self.is_new_each:
                    connection.close()
            time.sleep(0.02)
        connection.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *args):
        self.is_over = True
        self.join()

    def p99_ms(self):
        return p99_ms(self.took_s)


def p99_ms(took_s):
    return sorted(took_s)[len(took_s) * 99 // 100] * 1000
