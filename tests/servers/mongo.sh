#!/bin/sh
# A MongoDB-compatible server to try things with: mongo.sh [PORT]
# mongod where it is on PATH, else the FerretDB of the tests, built when it is not there yet.  It listens
# on loopback alone, keeps its data in a folder that goes when it ends, and ends with Ctrl-C.
set -eu
port=${1:-27017}
here=$(dirname "$0")
folder=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	[ -z "$server" ] || wait "$server" 2>/dev/null || :
	rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' HUP INT TERM

mkdir "$folder/data" "$folder/state"
if command -v mongod >/dev/null 2>&1; then
	mongod --dbpath "$folder/data" --port "$port" --bind_ip 127.0.0.1 --nounixsocket >/dev/null &
else
	env -u LOGFOLD_TEST_MONGO_URI sh "$here/ferretdb.sh"
	"$(sh "$here/ferretdb.sh" path)" --handler=sqlite --listen-addr="127.0.0.1:$port" \
		--sqlite-url="file:$folder/data/?_pragma=synchronous(normal)" --state-dir="$folder/state" \
		--debug-addr=- --telemetry=disable --log-level=ERROR &
fi
server=$!
wait "$server"
