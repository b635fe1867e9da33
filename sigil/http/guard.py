"""Where addresses out of messages may not lead: into the networks that this machine is in.

Whoever writes the address chooses what Sigil asks for. Without a guard they could read pages of the
router, of services that trust this machine, or a cloud's credentials (server-side request forgery,
CWE-918).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from sigil.errors import AddressRefused

# What Python, or an older one, takes for public: Azure's services on each virtual machine, and what
# IANA set apart (RFC 6890, RFC 7526, RFC 9602, RFC 9637).
_SET_APART = ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10")
_SET_APART_6 = ("100::/64", "2001::/23", "3fff::/20", "5f00::/16", "fec0::/10")
_NEVER_PUBLIC = tuple(map(ip_network, _SET_APART + _SET_APART_6))
# IPv6 addresses that hold an IPv4 address, in their last bits: mapped (RFC 4291) and compatible,
# which Python knows no word for; NAT64 (RFC 6052, RFC 8215).
_HOLDING_V4 = tuple(map(ip_network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")))


class AddressGuard:
    """Refuses addresses that are not public, but for the hosts and networks of
    `network.allow_private`."""

    def __init__(self, allow_private: Iterable[str] = ()) -> None:
        self._hosts: set[str] = set()
        self._networks = []
        for each in allow_private:
            try:
                self._networks.append(ip_network(each))
            except ValueError:
                self._hosts.add(each.lower())

    def check(self, host: str, address: str) -> None:
        """Raises `AddressRefused` if this address of a host may not be connected to."""
        if host.lower().rstrip(".") in self._hosts:
            return
        try:
            found = ip_address(address)
        except ValueError:
            found = None
        if found is not None and (self._is_allowed(found) or is_public(found)):
            return
        raise AddressRefused(
            f"{host} is in a private network, where addresses out of messages may not lead.",
            hint="The owner can allow it: network.allow_private.",
        )

    def _is_allowed(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of one machine in the internet at large."""
    if isinstance(address, IPv6Address):
        held = _find_held_v4(address)
        if held is not None:
            return is_public(held)
    if any(address in network for network in _NEVER_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _find_held_v4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one end up at."""
    held = address.ipv4_mapped or address.sixtofour
    if held is None and any(address in network for network in _HOLDING_V4):
        held = IPv4Address(int(address) & 0xFFFFFFFF)
    return held
