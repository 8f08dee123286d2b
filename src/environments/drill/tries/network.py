"""Attempts to be heard outside, or to make a way there."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["NETWORK"]

_bash, _python = partial(bash, "network"), partial(python, "network")

_TCP = """
    if not E[{0!r}]:
        skip('the host has no such address')
    address, port = E[{0!r}].split()
    with socket.create_connection((address, int(port)), timeout=1.5) as connection:
        connection.sendall(W.encode())
"""
_UDP = """
    if not E[{0!r}]:
        skip('the host has no such address')
    address, port = E[{0!r}].split()
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(W.encode(), (address, int(port)))
"""
_PLACES = {
    "LOOPBACK4": "its own loopback address",
    "LOOPBACK6": "its own IPv6 loopback address",
    "HOST4": "an IPv4 address of the host",
    "HOST6": "an IPv6 address of the host",
    "LOCAL6": "the host's link-local IPv6 address",
}


def _name(place: str) -> str:
    return place.lower().replace("4", "-v4").replace("6", "-v6")


NETWORK: tuple[Attempt, ...] = (
    *(
        _python(
            f"tcp-{_name(place)}",
            f"Connects by TCP to the drill's listener on {what}.",
            _TCP.format(f"TCP_{place}"),
        )
        for place, what in _PLACES.items()
    ),
    *(
        _python(
            f"udp-{_name(place)}",
            f"Sends a datagram to the drill's listener on {what}.",
            _UDP.format(f"UDP_{place}"),
        )
        for place, what in _PLACES.items()
    ),
    _python(
        "dns-query",
        "Asks the drill's name server for a name that carries its word out.",
        """
        address, port = E['DNS'].split()
        name = b''.join(bytes([len(part)]) + part for part in (W.encode(), b'drill', b'invalid'))
        query = b'\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0' + name + b'\\0\\0\\1\\0\\1'
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(query, (address, int(port)))
        """,
    ),
    _python(
        "multicast",
        "Sends a datagram to a multicast group that the drill listens to on the host.",
        """
        group, port = E['MULTICAST'].split()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('127.0.0.1'))
            sender.sendto(W.encode(), (group, int(port)))
        """,
    ),
    _python(
        "abstract-socket",
        "Connects to the drill's abstract Unix socket, which belongs to a network namespace and to no file.",
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect('\\0' + E['ABSTRACT'])
            connection.sendall(W.encode())
        """,
    ),
    _python(
        "unix-socket-by-path",
        "Connects to the drill's Unix socket by its path on the host.",
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect(E['DOOR'])
            connection.sendall(W.encode())
        """,
    ),
    _python(
        "sibling-machine",
        "Asks a machine of the same kind that is open beside it for what only that one knows.",
        """
        if not E['SIBLING']:
            skip(E['NO_SIBLING'])
        for place in E['SIBLING'].split(','):
            try:
                address, port = place.split()
                with socket.create_connection((address, int(port)), timeout=0.7) as connection:
                    print(connection.recv(4096).decode(errors='replace'))
            except OSError:
                pass
        """,
    ),
    _python(
        "metadata-route",
        "Looks whether a packet to the metadata address of clouds would find a way; none is sent.",
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as looking:
            looking.connect(('169.254.169.254', 80))
            got('a way from', looking.getsockname()[0])
        """,
    ),
    _python(
        "default-route",
        "Looks whether a packet to anywhere would find a way; none is sent.",
        """
        for family, address in ((socket.AF_INET, '192.0.2.201'), (socket.AF_INET6, '2001:db8:77::1')):
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as looking:
                    looking.connect((address, 80))
                    got('a way from', looking.getsockname()[0])
            except OSError:
                pass
        """,
    ),
    _python(
        "raw-socket",
        "Makes a socket that writes its own packet headers.",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(); got('a raw socket')",
    ),
    _python(
        "packet-socket",
        "Makes a socket that hears and says everything on an interface.",
        "socket.socket(17, socket.SOCK_RAW, 0x300).close(); got('a packet socket')",
    ),
    _python(
        "vsock-to-the-hypervisor",
        "Calls the drill's port on the hypervisor over a vsock, which needs no network.",
        """
        with socket.socket(40, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect((2, int(E['VSOCK'] or 1)))
            connection.sendall(W.encode())
            got('the hypervisor')
        """,
    ),
    _bash(
        "add-a-route",
        "Adds a default route over the loopback interface.",
        "ip route add default dev lo metric 4242 && got 'a route' && ip route del default dev lo metric 4242",
        needs=("ip",),
    ),
    _bash(
        "add-an-interface",
        "Makes a network interface of its own.",
        'ip link add "drill${WORD:0:6}" type dummy && got "an interface" && ip link del "drill${WORD:0:6}"',
        needs=("ip",),
    ),
    _bash(
        "add-an-address",
        "Gives the loopback interface a second address.",
        "ip addr add 198.51.100.77/32 dev lo && got 'an address' && ip addr del 198.51.100.77/32 dev lo",
        needs=("ip",),
    ),
    _python(
        "raise-an-interface-by-netlink",
        "Asks the kernel itself, without any program, to make an interface.",
        """
        import struct
        kind = b'dummy'
        info = struct.pack('HH', 4 + len(kind), 1) + kind + b'\\0' * 3
        link = struct.pack('HH', 4 + len(info), 18) + info
        name = b'drill' + W[:6].encode() + b'\\0'
        label = struct.pack('HH', 4 + len(name), 3) + name
        label += b'\\0' * (-len(label) % 4)
        body = struct.pack('BxHiII', 0, 0, 0, 0, 0) + label + link
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
            kernel.send(struct.pack('IHHII', 16 + len(body), 16, 0x605, 1, 0) + body)
            answer = kernel.recv(4096)
        if struct.unpack('i', answer[16:20])[0] == 0:
            got('an interface')
            os.system('ip link del ' + name[:-1].decode())
        """,
    ),
    _bash(
        "proxy-in-the-environment",
        "Looks for a proxy that its environment names.",
        'env | grep -iE "^(https?|all|ftp)_proxy=.+" && got "a proxy"',
    ),
    _bash(
        "name-server-with-a-way-to-it",
        "Looks whether a name server is configured that is not on the loopback interface, with a route to it.",
        """
        server=$(awk '$1 == "nameserver" && $2 !~ /^(127|::1)/ {print $2; exit}' /etc/resolv.conf 2>/dev/null)
        [[ -n $server ]] && tail -n +2 /proc/net/route | grep -q . && got "$server"
        """,
    ),
    _python(
        "control-sockets-of-the-host",
        "Connects, and says nothing, to the sockets by which a host's services are controlled.",
        """
        known = ('docker.sock', 'podman/podman.sock', 'containerd/containerd.sock', 'crio/crio.sock',
                 'dbus/system_bus_socket', 'systemd/private', 'libvirt/libvirt-sock', 'snapd.socket')
        agents = [E[name] for name in ('SSH_AUTH_SOCK', 'DBUS_SESSION_BUS_ADDRESS') if E.get(name)]
        for path in [f'/run/{name}' for name in known] + agents:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(1)
                if connection.connect_ex(path) == 0:
                    got(path)
        """,
    ),
)
