#!/bin/sh
# Installs the named Debian packages where they are missing: deps.sh PACKAGE…
# PACKAGE|ANOTHER is the first of them that this release has.
# Debian 12 and 13 and Ubuntu 24.04; elsewhere it says what is missing and stops.
set -eu

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# Which of the names between bars is installed, else which apt knows, else the first.
choose() {
	names=$(echo "$1" | tr '|' ' ')
	for name in $names; do ! is_installed "$name" || { echo "$name"; return; }; done
	for name in $names; do ! apt-cache show "$name" >/dev/null 2>&1 || { echo "$name"; return; }; done
	echo "${names%% *}"
}

missing=
if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
	for package; do
		case $package in *"|"*) package=$(choose "$package") ;; esac
		is_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || exit 0
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null 2>&1 || {
			echo "deps: missing:$missing; as root: apt-get install$missing" >&2
			exit 1
		}
		sudo=sudo
	fi
	echo "deps: installing$missing"
	# The lists may be old or absent; a package that is known already needs no update.
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 || {
		$sudo apt-get update -q >/dev/null
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
	}
	exit 0
fi

have_header() { echo "#include <$1>" | ${CC:-cc} -E - >/dev/null 2>&1; }
have_module() { pkg-config --exists "$1" 2>/dev/null; }
for package; do
	case $package in
	libc6-dev) have_header stdio.h ;;
	libssl-dev) have_module libcrypto ;;
	libsqlite3-dev) have_module sqlite3 ;;
	libcriterion-dev) have_module criterion ;;
	libmongoc-dev) have_module libmongoc-1.0 ;;
	libhiredis-dev) have_module hiredis ;;
	libxxhash-dev) have_module libxxhash ;;
	libzstd-dev) have_module libzstd ;;
	libmicrohttpd-dev) have_module libmicrohttpd ;;
	libspdlog-dev) have_module spdlog ;;
	uthash-dev) have_header uthash.h ;;
	python3-pytest) python3 -c 'import pytest' 2>/dev/null ;;
	python3-pymongo) python3 -c 'import pymongo' 2>/dev/null ;;
	python3-redis) python3 -c 'import redis' 2>/dev/null ;;
	redis-tools) command -v redis-cli >/dev/null 2>&1 ;;
	binutils) command -v readelf >/dev/null 2>&1 ;;
	procps) command -v ps >/dev/null 2>&1 ;;
	util-linux) command -v unshare >/dev/null 2>&1 ;;
	tcl) command -v tclsh >/dev/null 2>&1 ;;
	libjemalloc2) ls /usr/lib*/libjemalloc.so.* /usr/lib/*/libjemalloc.so.* 2>/dev/null | grep -q . ;;
	libtcmalloc*) ls /usr/lib*/libtcmalloc_minimal.so.* /usr/lib/*/libtcmalloc_minimal.so.* 2>/dev/null | grep -q . ;;
	libpython3*-testsuite) python3 -c 'import test.test_print' 2>/dev/null ;;
	*) command -v "$package" >/dev/null 2>&1 ;;
	esac || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "deps: this system has no apt-get; please install what these Debian packages hold:$missing" >&2
exit 1
