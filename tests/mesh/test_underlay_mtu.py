"""The overlay's MTU follows the underlay's."""
from lab import kernel
from lab.traffic import transfer

OVERHEAD_BYTES = 50
SOME_BYTES = 8 << 20


def test_on_a_jumbo_underlay_the_overlay_and_the_containers_use_it(bed):
    mesh = bed.mesh(hosts=2, mtu=9000)
    assert [kernel.overlay_link(node)["mtu"] for node in mesh.nodes] == [9000 - OVERHEAD_BYTES] * 2
    largest = 9000 - OVERHEAD_BYTES - 28
    first, second = mesh.containers
    first.run("ping", "-M", "do", "-c", "1", "-W", "2", "-s", largest, second.ip)
    transfer(first, second, SOME_BYTES)
