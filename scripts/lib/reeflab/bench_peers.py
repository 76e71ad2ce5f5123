"""How the servers that Reef is compared with are set up: one worker, a cache, no access log, nothing in their way.

A plan writes the configuration into a folder and says the arguments and environment to start the program with. Where
a default would make a server slower in this measurement (logs, requests per connection, connections to the origin not
kept, limits below what is tried), it is lifted. Those with a cache on disk get 2 GiB for it, the others 1 GiB of memory.
"""
import os


class NginxPlan:
    tool, version_flag = "nginx", "-v"

    @staticmethod
    def write(home, port, origin_port):
        (home / "tmp").mkdir()
        (home / "nginx.conf").write_text(f"""
daemon off;
worker_processes 1;
worker_rlimit_nofile 60000;
pid {home}/nginx.pid;
error_log {home}/error.log;
{"user root;" if os.getuid() == 0 else ""}
events {{ worker_connections 30000; multi_accept on; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  open_file_cache max=10000 inactive=600s;
  open_file_cache_valid 600s;
  client_body_temp_path {home}/tmp/body; proxy_temp_path {home}/tmp/proxy; fastcgi_temp_path {home}/tmp/f;
  uwsgi_temp_path {home}/tmp/u; scgi_temp_path {home}/tmp/s;
  proxy_cache_path {home}/cache levels=1:2 keys_zone=hits:256m inactive=1d max_size=2g use_temp_path=off;
  upstream origin {{
    server 127.0.0.1:{origin_port};
    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache hits;
      proxy_cache_key $host$request_uri;
    }}
  }}
}}
""")
        return ["-p", home, "-c", home / "nginx.conf"], None


class VarnishPlan:
    """Its log is a ring in shared memory: what it writes for each request is masked, and the ring is small, so that it does
    not count as memory of connections."""
    tool, version_flag = "varnishd", "-V"
    MASKED = ["Begin", "End", "Link", "Timestamp", "Hit", "HitMiss", "HitPass", "Hash", "TTL", "Length", "Storage", "Filters",
              "Fetch_Body", "VCL_call", "VCL_return", "VCL_use", "SessOpen", "SessClose", "Backend", "BackendOpen", "BackendClose",
              "BackendReuse", "ReqStart", "ReqMethod", "ReqURL", "ReqProtocol", "ReqHeader", "ReqUnset", "ReqAcct", "RespMethod",
              "RespURL", "RespProtocol", "RespStatus", "RespReason", "RespHeader", "RespUnset", "BereqMethod", "BereqURL",
              "BereqProtocol", "BereqHeader", "BereqUnset", "BereqAcct", "BerespProtocol", "BerespStatus", "BerespReason",
              "BerespHeader", "BerespUnset", "ObjProtocol", "ObjStatus", "ObjReason", "ObjHeader"]

    @classmethod
    def write(cls, home, port, origin_port):
        (home / "cache.vcl").write_text(
            f'vcl 4.1;\nbackend origin {{ .host = "127.0.0.1"; .port = "{origin_port}"; }}\n')
        return ["-F", "-j", "none", "-n", home / "work", "-f", home / "cache.vcl", "-a", f"127.0.0.1:{port}",
                "-s", "malloc,1g", "-l", "1m", "-p", "thread_pools=1", "-p", "thread_pool_max=1000",
                "-p", "timeout_idle=600", "-p", "vsl_mask=" + ",".join("-" + tag for tag in cls.MASKED)], None


class TrafficServerPlan:
    tool, version_flag = "traffic_server", "-V"

    @staticmethod
    def write(home, port, origin_port):
        for name in ("etc", "run", "log", "cache"):
            (home / name).mkdir()
        etc = home / "etc"
        # The folders of this instance; what is not ours comes with the package.
        (home / "runroot.yaml").write_text(f"""
prefix: {home}
exec_prefix: {home}
bindir: /usr/bin
sbindir: /usr/bin
includedir: /usr/include
libdir: /usr/lib/trafficserver
libexecdir: /usr/lib/trafficserver/modules
datadir: {home}
sysconfdir: {etc}
localstatedir: {home}/run
runtimedir: {home}/run
logdir: {home}/log
cachedir: {home}/cache
""")
        (etc / "records.config").write_text(f"""
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.crash_log_helper STRING NULL
CONFIG proxy.config.cache.ram_cache.size INT 536870912
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600
""")
        (etc / "remap.config").write_text(f"map / http://127.0.0.1:{origin_port}/\n")
        (etc / "storage.config").write_text(f"{home}/cache 2G\n")
        (etc / "ip_allow.yaml").write_text("ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.0/8, action: allow, methods: ALL}\n")
        for name in ("plugin.config", "ssl_multicert.config", "cache.config", "hosting.config", "volume.config", "parent.config"):
            (etc / name).touch()
        return [], {"TS_RUNROOT": str(home)}


class HaproxyPlan:
    tool, version_flag = "haproxy", "-v"

    @staticmethod
    def write(home, port, origin_port):
        (home / "haproxy.cfg").write_text(f"""
global
  nbthread 1
  maxconn 20000
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout server 60s
  timeout client 600s
  timeout http-keep-alive 600s
cache hits
  total-max-size 1024
  max-object-size 4194304
  max-age 86400
frontend clients
  bind 127.0.0.1:{port} backlog 4096
  http-request cache-use hits
  http-response cache-store hits
  default_backend origin
backend origin
  http-reuse always
  server origin 127.0.0.1:{origin_port}
""")
        return ["-db", "-f", home / "haproxy.cfg"], None
