"""Which addresses are public."""

from __future__ import annotations

import pytest

from sigil.errors import AddressRefused
from sigil.http.guard import AddressGuard


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "172.32.0.1"])
def test_public_ones_are_let_through(address: str) -> None:
    AddressGuard().check("h", address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",  # metadata of most clouds
        "100.64.0.1",  # carrier-grade NAT
        "100.100.100.200",  # Alibaba's metadata
        "192.0.0.192",  # Oracle's
        "168.63.129.16",  # Azure's
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:53aa:64c:0:0:80ff:fffe",  # Teredo
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",  # Amazon's metadata
        "ff02::1",
        "2001:db8::1",
        "",
        "x",
        "2130706433",
    ],
)
def test_all_others_are_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match=r"h is in a private network.*allow_private"):
        AddressGuard().check("h", address)


def test_what_is_allowed_is_let_through_and_nothing_beside_it() -> None:
    guard = AddressGuard(["nas.local", "192.168.1.0/24", "fd00::/8"])
    guard.check("NAS.local.", "10.0.0.1")
    guard.check("h", "192.168.1.7")
    guard.check("h", "fd00::1")
    for host, address in (("x.nas.local", "10.0.0.1"), ("h", "192.168.2.1"), ("h", "fe80::1")):
        with pytest.raises(AddressRefused):
            guard.check(host, address)
