"""Where a request may go: spellings of addresses, spellings of URLs, names that change their mind."""

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.transport.guard import Guard, Refused

PRIVATE = [
    "0.0.0.0",
    "0.255.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%2",
    "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2001:0:808:808::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:a00:1",
    "4000::1",
    "8000::1",
    "1fff::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_connection_goes_to_a_private_address(address: str) -> None:
    with pytest.raises(Refused) as refusal:
        Guard().check(address, 443)
    assert refusal.value.code == "ssrf_blocked"
    assert "allow_networks" in str(refusal.value)
    assert address not in str(refusal.value)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open_on_the_usual_ports(address: str) -> None:
    for port in (80, 443, 8443):
        Guard().check(address, port)
    for port in (22, 25, 5432, 8080):
        with pytest.raises(Refused, match="ports 443, 80 and 8443"):
            Guard().check(address, port)


def test_an_allowed_network_is_open_on_every_port() -> None:
    guard = Guard(["10.1.0.0/16", "fd00::/8", "203.0.113.9"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "203.0.113.9"):
        guard.check(address, 8080)
    for address in ("10.2.0.1", "127.0.0.1", "203.0.113.10", "64:ff9b::a01:203"):
        with pytest.raises(Refused):
            guard.check(address, 443)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "example.com", "10.0.0.0/33", ""])
def test_a_network_that_is_none_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_networks"):
        Guard([text])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ok.test",
        "//ok.test/",
        "https://",
        "https:///path",
        "https://:443/",
        "https://ok.test:99999/",
        "https://ok.test:x/",
        "ftp://ok.test/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/_HELO",
        "dict://127.0.0.1:11211/",
        "unix:///run/docker.sock",
        "javascript:alert(1)",
        "https://user@ok.test/",
        "https://user:password@ok.test/",
        "https://ok.test@127.0.0.1/",
        "https://ok.test\\@127.0.0.1/",
        "https://ok.test\\127.0.0.1/",
        "https://127.0.0.1%00.ok.test/",
        "https://ok%2etest/",
        "https://ok.test\r\nHost: x/",
        "https://ok.test/\tpath",
        "https://ok.test/a b",
        "https://ok.test/?q=100%&s=a%2Bb",
        "https://ok.test/%zz",
        "https://ok.test/a%2",
        "https://ok.test/\x00",
        "https://ok.test/\u2028",
        "https://ok.te\u200bst/",
        "https://ok.test\u2215@127.0.0.1/",
        "https://ok.test\uff0f127.0.0.1/",
        "https://ok.test\uff1f.example/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1/",
        "https://[not-an-address]/",
        "https://[v1.x]/",
        "https://-ok.test/",
        "https://ok..test/",
        "https://" + "a" * 64 + ".test/",
        "https://ok.test/" + "a" * 2040,
    ],
)
def test_a_url_that_means_two_things_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refusal:
        Guard(["0.0.0.0/0", "::/0"], allow_http=True).target(url)
    assert refusal.value.code == "bad_url"


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://Ok.Test", "ok.test", 443, "/"),
        ("https://ok.test:8443/a/b?c=d&e#fragment", "ok.test", 8443, "/a/b?c=d&e"),
        ("https://ok.test?x=1", "ok.test", 443, "/?x=1"),
        ("http://ok.test/", "ok.test", 80, "/"),
        ("https://ok.test./", "ok.test.", 443, "/"),
        ("https://exämple.de/ü?ö|", "xn--exmple-cua.de", 443, "/%C3%BC?%C3%B6%7C"),
        ("https://ok.test/a%2fb/%C3%bc?c=%2B+;@:/?!$'()*,~", "ok.test", 443, "/a%2fb/%C3%bc?c=%2B+;@:/?!$'()*,~"),
        ("https://straße.de/", "xn--strae-oqa.de", 443, "/"),
        ("https://\uff4f\uff4b.test/", "ok.test", 443, "/"),
        ("https://127。0。0。1/", "127.0.0.1", 443, "/"),
        ("https://①②⑦.0.0.1/", "127.0.0.1", 443, "/"),
        ("https://[2606:4700:0:0::1111]/", "2606:4700::1111", 443, "/"),
    ],
)
def test_a_host_has_one_spelling(url: str, host: str, port: int, path: str) -> None:
    target = Guard(allow_http=True).target(url)
    assert (target.host, target.port, target.path) == (host, port, path)


def test_http_needs_the_account_s_word() -> None:
    with pytest.raises(Refused, match="allow_http"):
        Guard().target("http://ok.test/")


def test_a_target_does_not_show_its_path() -> None:
    assert "s3cret" not in repr(Guard().target("https://ok.test/s3cret?s3cret"))
