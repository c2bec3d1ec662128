#!/bin/sh
# Runs a command with a $TMPDIR of its own, which goes with it: in_folder.sh COMMAND…
set -eu
# Below /tmp and open to pass through, because some tests go there as other users.
TMPDIR=$(mktemp -d /tmp/logfold-unit-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM
chmod 711 "$TMPDIR"
"$@"
