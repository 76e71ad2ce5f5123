"""All nodes of a metro die while people browse, and come back: what the clients there see."""
import time

from .report import table
from .wan_browse import ADDRESS_TTL_S
from .wan_near import Nearness, is_servfail, percent

GRACE_S = 10.0            # beyond the TTL of addresses, until everybody is served by others
OBSERVED_S = 60.0         # how long that is looked at, and what follows the return
BACK_S = 300.0            # until answers are local again
SHARE_MIN = 0.95
ROW_S = 10.0


class Timeline:
    """Kills at `kill_s` of the crowd's time. The metro is that of the first node, through which others have joined and to
    which the zones are delegated."""

    def __init__(self, browse, kill_s, silent):
        self.browse, self.kill_s, self.silent = browse, kill_s, silent
        self.settled_s = (browse.options.address_ttl or ADDRESS_TTL_S) + GRACE_S
        self.back_s = kill_s + self.settled_s + OBSERVED_S
        self.end_s = self.back_s + BACK_S + OBSERVED_S
        self.metro = browse.node_hosts[0].metro
        self.killed_at = self.started_at = None

    def events(self):
        return [(self.kill_s, self.kill), (self.back_s, self.restart)]

    def victims(self):
        return [place for place in self.browse.places if place.host.metro == self.metro]

    def kill(self):
        self.killed_at = time.time()
        for place in self.victims():
            place.node.kill()
            if self.silent:
                self.browse.world.command(f"down {place.host.name}")

    def restart(self):
        self.started_at = time.time()
        for place in self.victims():
            if self.silent:
                self.browse.world.command(f"up {place.host.name}")
            place.node.start()
            self.browse.world.record.add(place.node.pid, f"node-{place.node.name}")

    # --- what came of it

    def judge(self, answers, started):
        """(figures, problems). `started`: the crowd's, in seconds since the epoch."""
        killed, back = self.killed_at - started, self.started_at - started
        here = [a for a in answers if self.browse.world.host(a.client).metro == self.metro]
        dead = {place.host.name for place in self.victims()}
        without = Nearness(self.browse, {h.name for h in self.browse.node_hosts} - dead)
        everybody = Nearness(self.browse)

        def between(low, high):
            return [a for a in here if low <= a.start_s < high]

        others = without.summary(between(killed + self.settled_s, back))
        again = everybody.summary(between(back + BACK_S, back + BACK_S + OBSERVED_S))
        rows = []
        low = killed - 2 * ROW_S
        while low < back + BACK_S + OBSERVED_S:
            part = between(low, low + ROW_S)
            if part:
                rows.append({"s": round(low - killed), **everybody.summary(part)})
            low += ROW_S
        figures = {"metro": self.metro, "silent": self.silent, "clients_there": len({a.client for a in here}),
                   "killed_s": round(killed, 1), "back_s": round(back, 1), "others": others, "again": again, "rows": rows,
                   "local_again_s": self.local_since(rows, back - killed),
                   "servfails": sum(map(is_servfail, answers)), "failed_meanwhile":
                   sum(a.failed for a in between(killed, killed + self.settled_s))}
        self.show(figures)
        return figures, self.problems(figures)

    @staticmethod
    def local_since(rows, back_s):
        """Seconds after the return from which on answers were local in every row; None: never."""
        since = None
        for row in rows:
            if row["s"] < back_s:
                continue
            if (row["addresses_in_metro"] or 0) < SHARE_MIN:
                since = None
            elif since is None:
                since = round(row["s"] - back_s)
        return since

    def problems(self, figures):
        others, again, out = figures["others"], figures["again"], []
        if figures["servfails"]:
            out.append(f"{figures['servfails']} questions ended with SERVFAIL")
        if others["answers"] == 0 or others["failed"] or others["no_answer"]:
            out.append(f"{others['failed']} requests of clients in {self.metro} failed later than the TTL and {GRACE_S:g} s "
                       f"after its death, {others['no_answer']} of them without an address ({others['answers']} answers)")
        if (others["first_in_region"] or 0) < SHARE_MIN:
            out.append(f"{percent(others['first_in_region'])} of the answers there named a node of the region instead (at "
                       f"least {percent(SHARE_MIN)})")
        if (again["addresses_in_metro"] or 0) < SHARE_MIN:
            out.append(f"{BACK_S:g} s after the return {percent(again['addresses_in_metro'])} of the addresses are local "
                       f"(at least {percent(SHARE_MIN)})")
        return out

    def show(self, figures):
        print(f"\nclients in {self.metro}, whose nodes were killed at 0 s and started again at "
              f"{figures['back_s'] - figures['killed_s']:.0f} s:")
        print(table(["s", "answers", "own metro", "first in region", "proxy ms p50", "failed", "no answer", "SERVFAIL"],
                    [[f"{row['s']}", row["answers"], percent(row["addresses_in_metro"]), percent(row["first_in_region"]),
                      row["rtt_ms"]["p50"], row["failed"], row["no_answer"], row["servfail"]] for row in figures["rows"]],
                    "rrrrrrrr"))
        local = figures["local_again_s"]
        print(f"\nfrom TTL + {GRACE_S:g} s on: {figures['others']['failed']} failed of {figures['others']['answers']}, "
              f"{percent(figures['others']['first_in_region'])} in the region, {figures['others']['over_best']['p50']} times "
              f"the best round trip; before that {figures['failed_meanwhile']} failed; SERVFAIL: {figures['servfails']}; "
              f"local again {'never' if local is None else f'{local} s'} after the return")
