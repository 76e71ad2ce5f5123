#!/usr/bin/env python3
"""Cache hits of Reef and nginx only: the short form of the proxy benchmark.

The same as

    scripts/bench proxy --servers reef,nginx --workloads hit-1k,hit-41k

and takes the same flags.
"""
import sys

import proxy

if __name__ == "__main__":
    sys.exit(proxy.main(["--servers", "reef,nginx", "--workloads", "hit-1k,hit-41k", *sys.argv[1:]]))
