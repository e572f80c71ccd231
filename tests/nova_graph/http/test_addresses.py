"""Where webhooks may go."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_graph.http.addresses import WrongAddress, check_url, find_target, is_allowed

INSIDE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "ff02::1",
    "2001:db8::1",
]
OUTSIDE = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_refused(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_outside_are_taken(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), ())


def test_an_operators_own_network_is_taken_and_no_other() -> None:
    networks = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("::1/128"))
    assert is_allowed(ipaddress.ip_address("10.1.2.3"), networks)
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), networks)
    assert is_allowed(ipaddress.ip_address("::1"), networks)
    assert not is_allowed(ipaddress.ip_address("10.2.0.1"), networks)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "unix:///var/run/docker.sock",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://a..b.com/",
        f"https://{'a' * 70}.com/",
        "https://user:password@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\r\nX: y",
        "https://bücher.example/",
        "https://[::1/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://metadata/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1%25eth0]/",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_addresses_that_are_refused_at_once(url: str) -> None:
    with pytest.raises(WrongAddress):
        check_url(url, http=False, networks=())


@pytest.mark.parametrize("url", ["https://example.com", "https://example.com:8443/hook?x=1", "https://1.1.1.1/"])
def test_addresses_that_are_taken(url: str) -> None:
    check_url(url, http=False, networks=())


def resolved(url: str, *answers: str) -> str:
    """Return where a call would go when a name has these addresses."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers

    target = asyncio.run(find_target(url, http=True, networks=(), resolve=resolve))
    assert len(asked) == 1, "a second question could get another answer"
    assert target.host == asked[0]
    return target.url


def test_a_call_goes_to_the_address_that_was_checked() -> None:
    assert resolved("https://example.com/hook?x=1", "93.184.216.34") == "https://93.184.216.34:443/hook?x=1"
    assert resolved("http://example.com", "2606:4700:4700::1111") == "http://[2606:4700:4700::1111]:80/"
    assert resolved("https://example.com:8443/a", "1.1.1.1", "8.8.8.8") == "https://1.1.1.1:8443/a"


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_of_an_address_inside_is_refused(address: str) -> None:
    for answers in ([address], ["1.1.1.1", address]):
        with pytest.raises(WrongAddress):
            resolved("https://rebound.example/", *answers)


def test_a_name_without_address_is_refused() -> None:
    with pytest.raises(WrongAddress):
        resolved("https://example.com/")


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com{text}"):
        with contextlib.suppress(WrongAddress):
            assert check_url(url, http=False, networks=()).scheme == "https"


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_judged_as_what_it_is(address: ipaddress.IPv4Address) -> None:
    plain = is_allowed(address, ())
    number = int(address)
    for disguise in (f"::ffff:{address}", f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}"):
        assert is_allowed(ipaddress.ip_address(disguise), ()) is plain
    sixtofour = ipaddress.ip_address(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1")
    assert is_allowed(sixtofour, ()) is plain
