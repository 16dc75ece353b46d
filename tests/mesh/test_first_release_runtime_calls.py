"""An agent of the first release speaks to our runtime: three calls with the fields it knew."""
import json

import pytest

from lab import kernel


@pytest.fixture
def call(bed):
    """Calls the runtime of a lone host; the reply as {field number: value}."""
    host = bed.lab().host("lone", "192.168.1.10")
    host.start("quilt-runtime").wait_ready()

    def do_call(method, *words):
        return json.loads(host.out("/usr/bin/python3", "-B", host.lab.tool("first_release.py"),
                                   "127.0.0.1:50051", method, *words))
    do_call.host = host
    return do_call


def test_an_old_agents_subnet_and_routes_are_taken_and_given_back(call):
    host = call.host
    host.net("ip", "link", "add", "vxlan100", "type", "bridge")
    host.net("ip", "link", "set", "vxlan100", "up")
    assert call("ConfigureNodeSubnet", "1=10.42.1.0/24") == {"1": 1}
    assert call("ConfigureNodeSubnet", "1=10.42.1.0/24") == {"1": 1}
    assert call("InjectRoute", "1=10.42.2.0/24", "2=vxlan100") == {"1": 1}
    route = kernel.ip_json(host, "route", "show", "10.42.2.0/24")[0]
    assert (route["dev"], route.get("gateway")) == ("vxlan100", None)
    assert call("RemoveRoute", "1=10.42.2.0/24") == {"1": 1}
    assert call("RemoveRoute", "1=10.42.2.0/24") == {"1": 1}
    assert kernel.ip_json(host, "route", "show", "10.42.2.0/24") == []


@pytest.mark.parametrize("method,words", [
    ("ConfigureNodeSubnet", ["1=10.42.1.7/24"]),
    ("ConfigureNodeSubnet", ["1=10.42.1.0/25"]),
    ("ConfigureNodeSubnet", ["1=garbage"]),
    ("ConfigureNodeSubnet", []),
    ("InjectRoute", ["1=0.0.0.0/0", "2=vxlan100"]),
    ("InjectRoute", ["1=10.42.2.0/24", "2=no/such:name"]),
    ("RemoveRoute", ["1=10.42.2.0/33"]),
])
def test_a_bad_request_fails_in_band_with_words(call, method, words):
    reply = call(method, *words)
    assert reply.get("1", 0) == 0
    assert len(reply["2"]) > 10
