# Sourced by the bash scripts beside it: where the tree is, how messages look, how a preset is built.
# Needs bash; the caller has set -euo pipefail.

reef_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
reef_jobs="$(nproc)"

# A note of the script itself, on stderr so that stdout stays what was asked for.
say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() {
  say "$*"
  exit 1
}
# Wrong usage: one line and where to read more.
usage_error() {
  say "$* (try: scripts/$(basename "$0") --help)"
  exit 2
}

# The comment block at the top of a script, without its shebang, is its --help.
help_from_header() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# reef_configure PRESET: writes build/PRESET, quietly unless it fails.
reef_configure() {
  local preset="$1" log
  log="$(mktemp)"
  if ! (cd "$reef_root" && cmake --preset "$preset") >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "cmake could not configure preset '$preset'"
  fi
  rm -f "$log"
}

# On a terminal ninja keeps its own progress line. In a file: a line now and then, and everything that is not progress.
reef_thin_progress() {
  awk '
    match($0, /^\[[0-9]+\/[0-9]+\]/) {
      split(substr($0, 2, RLENGTH - 2), part, "/")
      step = int(part[2] / 10); if (step < 1) step = 1
      if (part[1] > 0 && (part[1] % step == 0 || part[1] == part[2])) { print "  built " part[1] " of " part[2]; fflush() }
      next
    }
    /^ninja: no work to do/ || /^ninja: Entering directory/ { next }
    { print; fflush() }'
}

# reef_build PRESET [TARGET...]: brings the targets up to date (no target: all of the preset).
reef_build() {
  local preset="$1"
  shift
  reef_configure "$preset"
  if [[ -t 1 ]]; then
    ninja -C "$reef_root/build/$preset" -j "$reef_jobs" "$@" >&2
  else
    ninja -C "$reef_root/build/$preset" -j "$reef_jobs" "$@" 2>&1 | reef_thin_progress >&2
  fi
}
