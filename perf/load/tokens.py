"""HTTP by an identity provider's token beside HTTP by API key: the same request, another bearer."""

from issuer import AUDIENCE
from medians import median, number, ratio, subjects_of
from servers import NodeDB

PREFIX = "bearer "
BY_KEY, BY_TOKEN = "bearer API key 64", "bearer JWT 64"


class TrustingNodeDB(NodeDB):
    """NodeDB that may fetch the keys of this run's issuer."""

    def __init__(self, where, issuer):
        super().__init__(where)
        self.issuer = issuer

    def start(self, binary):
        (self.directory / "nodedb.toml").write_text(f'[auth.jwks]\nallow_http_hosts = ["{self.issuer.host}"]\n')
        super().start(binary)
        self.psql(f"CREATE OIDC PROVIDER load WITH (issuer = '{self.issuer.url}', jwks_url = '{self.issuer.url}/keys', "
                  f"audience = '{AUDIENCE}')", user="nodedb")
        return self


def has(subject):
    return subject.startswith(PREFIX)


def goals(rows):
    """What a log-in by token had to reach; for the form as report.goals()."""
    def of(subject, field):
        return median(rows, subject, "NodeDB", field)

    return [
        ("token_rate", "HTTP by JWT, 64 connections: rate against by API key", ratio(of(BY_TOKEN, "tps"), of(BY_KEY, "tps")), "≥ 0.9",
         lambda v: v >= 0.9),
    ]


def section(rows):
    measured = [subject for subject in subjects_of(rows) if has(subject)]
    if not measured:
        return []
    lines = ["## HTTP by token and by key", "", "| bearer | requests a second | server CPU µs | p50 µs | p99 µs |", "|---|--:|--:|--:|--:|"]
    for subject in measured:
        tps, cpu, p50, p99 = (median(rows, subject, "NodeDB", field) for field in ("tps", "server_cpu_us", "latency_p50_us", "latency_p99_us"))
        lines.append(f"| {subject.removeprefix(PREFIX)} | {number(tps)} | {number(cpu, 1)} | {number(p50)} | {number(p99)} |")
    return [*lines, "", NOTE, ""]


NOTE = """\
One select by key a request, as `http params` has it, driven by wrk over 64 connections. The token is ES256, of a provider on loopback,
and the same in each request: a service's clients ask again and again."""
