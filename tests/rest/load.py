"""Registration load, and what its grants must mean afterwards."""
import contextlib
import http.client
import sqlite3
import threading
import time


class Load(threading.Thread):
    """Registers new nodes one after the other until the control plane goes away."""

    def __init__(self, plane, numbers):
        super().__init__()
        self.plane, self.numbers = plane, numbers
        self.asked = set()  # host names
        self.granted = []
        self.granted_ns = []  # when (CLOCK_MONOTONIC)

    def run(self):
        connection = self.plane.connect()
        with contextlib.suppress(OSError, http.client.HTTPException):
            for number in self.numbers:
                self.asked.add(f"node{number}")
                reply = self.plane.register(number, connection=connection)
                if reply.status == 200:
                    self.granted.append(reply.json())
                    self.granted_ns.append(time.monotonic_ns())
        connection.close()


def start_load(plane, first, clients=4, each=50):
    threads = [Load(plane, range(first + client * each, first + (client + 1) * each))
               for client in range(clients)]
    for thread in threads:
        thread.start()
    return threads


def check_file(plane):
    """The file on its own: whole, and one subnet a node."""
    database = sqlite3.connect(plane.db)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    nodes = database.execute("SELECT subnet FROM nodes").fetchall()
    leased = database.execute("SELECT subnet FROM subnets WHERE state = 'assigned'").fetchall()
    assert sorted(nodes) == sorted(leased)
    database.close()
