"""The DNS of the emulated Internet: signed root and TLD name servers (nsd), and recursive resolvers (unbound, bind9,
knot-resolver) that know the root hints and the root's key, nothing else.

    tree = Tree(world, roots=[host, ...], tlds=[host, ...])
    tree.delegate("reef.example", [node_host, ...])
    tree.add_address("www.site1.example", origin_host)
    tree.start()
    resolver = RESOLVERS["unbound"](world, host, tree).start("www.site1.example").wait()

The resolvers run with the settings of Debian's packages: DNSSEC validation, QNAME minimisation and mixed case as each has
them by default, knot-resolver with the modules of its packaged configuration. Only addresses, paths, the root's
addresses and its key are given.
"""
import pathlib
import shutil
import subprocess

from .node import wait_until
from .wan import WanError
from .wan_stage import resolve, unbound_config, unbound_program

TLD = "example"
DELEGATION_TTL = 86400   # of what parents say, as in the real root and in large TLDs


def program_of(name, *others):
    """Where a server of Debian's is; /usr/sbin is not in everybody's path."""
    for candidate in (name, *others):
        found = shutil.which(candidate) or shutil.which(f"/usr/sbin/{candidate}")
        if found:
            return found
    raise FileNotFoundError(f"{name} is not installed (scripts/bootstrap --tests)")


class Server:
    """A name server program on a host, in a folder of its own."""
    kind = ""

    def __init__(self, world, host):
        self.world, self.host = world, host
        self.name = f"{self.kind}-{host.name}"
        self.folder = world.state / self.name
        shutil.rmtree(self.folder, ignore_errors=True)  # a run before this one may have left its cache there
        self.folder.mkdir()

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def launch(self, command, question):
        """Starts it and waits until it answers the question about an address."""
        process = self.world.start(self.host, self.name, command)

        def alive():
            if process.poll() is not None:
                raise WanError(f"{self.name} ended: {(self.world.state / f'{self.name}.log').read_text()[-800:]}")

        self.process = process
        self.question, self.alive = question.rstrip("."), alive
        return self

    def wait(self, timeout_s=30):
        wait_until(lambda: resolve(self.host, self.host.address, self.question), timeout_s, f"{self.name} answers",
                   self.alive)
        return self

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# --- authoritative

class ZoneServer(Server):
    """nsd with one zone."""
    kind = "nsd"

    def __init__(self, world, host, zone, zone_file):
        super().__init__(world, host)
        self.write("nsd.conf", f"""
server:
  server-count: 1
  ip-address: {host.address}
  port: 53
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  zonelistfile: "{self.folder}/zone.list"
  xfrdfile: "{self.folder}/xfrd.state"
  xfrdir: "{self.folder}"
  pidfile: "{self.folder}/nsd.pid"
  database: ""
  logfile: ""
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: "{zone}"
  zonefile: "{zone_file}"
""")

    def start(self, question):
        return self.launch([program_of("nsd"), "-d", "-c", self.folder / "nsd.conf"], question)


class Tree:
    """The root zone and one TLD, both signed, each on several hosts."""

    def __init__(self, world, roots, tlds):
        self.world = world
        self.folder = world.state / "zones"
        self.folder.mkdir()
        self.roots = {f"{chr(ord('a') + i)}.root-servers.net.": host for i, host in enumerate(roots)}
        self.tlds = {f"{chr(ord('a') + i)}.nic.{TLD}.": host for i, host in enumerate(tlds)}
        self.records = []

    def delegate(self, zone, hosts):
        """An insecure delegation of `zone` below the TLD to ns1, ns2, ... inside it, with glue."""
        self.refer(zone, [f"ns{i}.{zone}" for i in range(1, len(hosts) + 1)])
        for i, host in enumerate(hosts, 1):
            self.records.append(f"ns{i}.{zone}. {DELEGATION_TTL} IN A {host.address}")

    def refer(self, zone, names):
        """The same to name servers whose names lie elsewhere, without glue."""
        self.records += [f"{zone}. {DELEGATION_TTL} IN NS {name}." for name in names]

    def add_address(self, name, host, ttl=3600):
        self.records.append(f"{name}. {ttl} IN A {host.address}")

    def start(self):
        tld_key = self._sign(f"{TLD}.", self._head(f"{TLD}.", self.tlds) + self.records)
        ds = subprocess.run([program_of("dnssec-dsfromkey"), "-2", tld_key], capture_output=True, text=True, check=True)
        delegation = [f"{TLD}. {DELEGATION_TTL} IN NS {name}" for name in self.tlds]
        delegation += [f"{name} {DELEGATION_TTL} IN A {host.address}" for name, host in self.tlds.items()]
        root_key = self._sign(".", self._head(".", self.roots) + delegation + [ds.stdout.strip()])
        lines = pathlib.Path(root_key).read_text().splitlines()
        self.anchor = next(line for line in lines if " DNSKEY " in line)
        self.hints = self.folder / "root.hints"
        self.hints.write_text("".join(f". 3600000 NS {name}\n{name} 3600000 A {host.address}\n"
                                      for name, host in self.roots.items()))
        servers = [ZoneServer(self.world, host, ".", self.folder / "root.signed").start(name)
                   for name, host in self.roots.items()]
        servers += [ZoneServer(self.world, host, f"{TLD}.", self.folder / f"{TLD}.signed").start(name)
                    for name, host in self.tlds.items()]
        for server in servers:
            server.wait()
        return self

    @staticmethod
    def _head(zone, servers):
        first = next(iter(servers))
        return ([f"{zone} 86400 IN SOA {first} hostmaster.{TLD}. 1 1800 900 604800 86400"] +
                [f"{zone} {DELEGATION_TTL} IN NS {name}" for name in servers] +
                [f"{name} {DELEGATION_TTL} IN A {host.address}" for name, host in servers.items()])

    def _sign(self, zone, records):
        """Writes NAME.signed; returns the file of its one key."""
        name = zone.rstrip(".") or "root"
        out = subprocess.run([program_of("dnssec-keygen"), "-q", "-K", self.folder, "-f", "KSK", "-a", "ECDSAP256SHA256",
                              "-n", "ZONE", zone], capture_output=True, text=True, check=True)
        key = self.folder / f"{out.stdout.strip()}.key"
        records = [*records, key.read_text().splitlines()[-1]]
        (self.folder / name).write_text("".join(f"{record}\n" for record in dict.fromkeys(records)))
        # One key signs everything (-z), far past the end of any experiment.
        signed = subprocess.run([program_of("dnssec-signzone"), "-q", "-z", "-K", self.folder, "-o", zone, "-O", "full",
                                 "-e", "now+2592000", "-f", self.folder / f"{name}.signed", self.folder / name],
                                capture_output=True, text=True, cwd=self.folder)
        if signed.returncode != 0:
            raise WanError(f"dnssec-signzone {zone}: {signed.stderr.strip()}")
        return str(key)


# --- recursive

class Unbound(Server):
    """`ecs`: tells every name server the network of whoever asks (RFC 7871)."""
    kind = "unbound"

    def __init__(self, world, host, tree, ecs=False):
        super().__init__(world, host)
        self.write("root.key", tree.anchor + "\n")
        modules = '  module-config: "subnetcache validator iterator"\n  send-client-subnet: 0.0.0.0/0\n' if ecs else ""
        self.write("unbound.conf", unbound_config(self.folder, host, f"""  root-hints: "{tree.hints}"
  trust-anchor-file: "{self.folder}/root.key"
{modules}"""))

    def start(self, question):
        return self.launch([unbound_program(), "-d", "-c", self.folder / "unbound.conf"], question)


class Bind(Server):
    kind = "bind9"

    def __init__(self, world, host, tree):
        super().__init__(world, host)
        words = tree.anchor.split()
        at = words.index("DNSKEY")
        flags, protocol, algorithm, key = words[at + 1], words[at + 2], words[at + 3], "".join(words[at + 4:])
        self.write("named.conf", f"""
options {{
  directory "{self.folder}";
  pid-file "{self.folder}/named.pid";
  session-keyfile "{self.folder}/session.key";
  managed-keys-directory "{self.folder}";
  listen-on {{ {host.address}; }};
  listen-on-v6 {{ none; }};
  query-source {host.address};
  allow-query {{ any; }};
  allow-recursion {{ any; }};
  dnssec-validation yes;
}};
controls {{ }};
zone "." {{ type hint; file "{tree.hints}"; }};
trust-anchors {{ . static-key {flags} {protocol} {algorithm} "{key}"; }};
""")

    def start(self, question):
        return self.launch([program_of("named"), "-g", "-n", "1", "-c", self.folder / "named.conf"], question)


class KnotResolver(Server):
    kind = "knot-resolver"

    def __init__(self, world, host, tree):
        super().__init__(world, host)
        self.write("root.key", tree.anchor + "\n")
        self.write("kresd.conf", f"""
net.listen('{host.address}', 53, {{ kind = 'dns' }})
modules = {{ 'hints > iterate', 'stats', 'predict' }}
cache.size = 100 * MB
hints.root_file('{tree.hints}')
trust_anchors.add_file('{self.folder}/root.key', true)
""")

    def start(self, question):
        return self.launch([program_of("kresd"), "-n", "-c", self.folder / "kresd.conf", self.folder], question)


RESOLVERS = {server.kind: server for server in (Unbound, Bind, KnotResolver)}
