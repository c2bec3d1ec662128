#!/bin/sh
# What logfold does, in a few seconds: folds the log of a redis-server at debug level under a short
# load, then mutes the noisiest message of a second one while it runs.  `make demo` builds first.
set -eu
build=${LOGFOLD_BUILD:-.build/plain}
work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

export XDG_STATE_HOME="$work/state" LOGFOLD_RUN_DIR="$work/run"
socket="$work/redis.sock"
log="$work/redis.log"   # what redis-server prints
told="$work/told"       # what logfold says at the end of the run
bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

logfold() { "$build/logfold" "$@"; }
title() { printf '\n%s%s%s\n\n' "$bold" "$*" "$plain"; }
lines() { wc -l <"$log"; }

# A real server that tells everything, with no TCP port at all; hooked, in the background.
start_server() {
	logfold run -- redis-server --port 0 --unixsocket "$socket" --dir "$work" --save '' \
		--loglevel debug >"$log" 2>"$told" &
	server=$!
	tries=0
	until redis-cli -s "$socket" ping >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 1000 ] || {
			cat "$log" "$told"
			echo "demo: redis-server did not start" >&2
			exit 1
		}
	done
}

# Bounded: so many requests, each on a connection of its own.
load() { redis-benchmark -s "$socket" -k 0 -c 20 -n "$1" -t set,get -q >/dev/null 2>&1; }

stop_server() {
	redis-cli -s "$socket" shutdown nosave >/dev/null 2>&1 || :
	wait "$server" || :
	server=
}

title "1. A noisy program, folded: logfold run -- redis-server --loglevel debug …"
start_server
load 3000
stop_server
echo "Under 6000 requests it printed $(lines) lines, byte for byte what it prints by itself, such as"
grep -m 1 'Accepted' "$log"
grep -m 1 'Client closed' "$log" | cut -c1-100
echo "logfold says at the end:"
cut -c1-150 "$told"

hash=$(logfold ls --json -n 1 | sed 's/.*"hash":"\([0-9a-f]*\)".*/\1/')
words='Accepted connection'
title "2. The noisiest message, muted while the program runs: logfold mute $(echo "$hash" | cut -c1-10)"
start_server
load 1500
before=$(grep -c "$words" "$log")
logfold mute "$hash"
muted_at=$(lines)
load 1500
after=$(tail -n +"$((muted_at + 1))" "$log" | grep -c "$words" || :)
stop_server
echo "'$words' was printed $before times under the first load, $after times under the same load"
echo "after the mute.  logfold counted on, and says so at the end of the run:"
grep 'muted' "$told"

title "3. The table is an SQLite file: logfold show $(echo "$hash" | cut -c1-10), or any sqlite3 shell"
logfold show "$hash" | grep -E '^(hash|method|messageTemplate|topFrame|enabled|count(Total|Passed|Muted)):'
