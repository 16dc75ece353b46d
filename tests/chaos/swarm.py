"""A hundred agents that only have a heart."""
import contextlib
import http.client
import threading
import time

THREADS = 5


class Swarm:
    """Registers its nodes, then sends each one's heartbeats from a few threads until stop(). What is
    muted is silent. A beat that gets no answer is tried again with the next round."""

    def __init__(self, plane, count, interval_s):
        self.plane, self.interval_s = plane, interval_s
        self.muted = set()
        self.took_s = []
        self.unanswered = 0
        self.refused = []
        self.is_over = False
        connection = plane.connect()
        self.ids = [plane.register(number, connection=connection).json()["node_id"]
                    for number in range(count)]
        connection.close()
        self.threads = [threading.Thread(target=self._beat_for_ever, args=(self.ids[n::THREADS],))
                        for n in range(THREADS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *args):
        self.is_over = True
        for thread in self.threads:
            thread.join()

    def _beat_for_ever(self, ids):
        connection = self.plane.connect(5)
        while not self.is_over:
            began = time.monotonic()
            for node_id in ids:
                if node_id not in self.muted and not self.is_over:
                    self._beat(connection, node_id)
            time.sleep(max(0.01, self.interval_s - (time.monotonic() - began)))
        connection.close()

    def _beat(self, connection, node_id):
        began = time.monotonic()
        try:
            status = self.plane.beat(node_id, connection)
            if status != 200:
                self.refused.append(status)
            self.took_s.append(time.monotonic() - began)
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
            with contextlib.suppress(OSError):
                connection.close()
            connection.port = self.plane.port
            time.sleep(0.02)

    def p99_ms(self):
        return sorted(self.took_s)[len(self.took_s) * 99 // 100] * 1000
