"""A laboratory in namespaces: hosts on a switch, the real daemons on them, packets between them.

    Lab ── switch (a network namespace with one bridge)
     │         │eth0          │eth0          │eth0
     └──── host node1 ── host node2 ── host node3       Host: network, mount, PID, UTS namespace
             │ containers     │ ...                     Container: a network namespace on a host

Nothing here needs a machine of its own and no packet leaves the namespaces. Everything belongs to
one holder process per host; when that ends, by whatever way, the kernel takes all of it away.
Python's standard library and iproute2 only; the demo and the tests are its two users.
"""
