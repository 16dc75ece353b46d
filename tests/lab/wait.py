"""Waiting for facts: never a blind sleep, always a deadline and a reason."""
import time


class Timeout(AssertionError):
    """The fact did not come true in time."""


def wait_for(fact, deadline_s, describe, interval_s=0.02):
    """Calls fact() until it returns something true and returns that. describe: a text, or a
    function that makes one when the time is up."""
    end = time.monotonic() + deadline_s
    while True:
        is_last = time.monotonic() >= end
        value = fact()
        if value:
            return value
        if is_last:
            words = describe() if callable(describe) else describe
            raise Timeout(f"not within {deadline_s} s: {words}")
        time.sleep(interval_s)


def seconds_until(fact, deadline_s, describe, interval_s=0.005):
    """How long it took until fact() was true."""
    start = time.monotonic()
    wait_for(fact, deadline_s, describe, interval_s)
    return time.monotonic() - start
