#!/bin/sh
# Prints what the table of interposed calls exports: exports.sh names|version-script TABLE
set -eu
names() { sed -n 's/^LF_[A-Z]*_CALL(\([A-Za-z0-9_]*\),.*/\1/p' "$1"; }
case $1 in
names)
	names "$2" | sort
	;;
version-script)
	echo "{ global:"
	names "$2" | sed 's/$/;/'
	echo "local: *; };"
	;;
*)
	echo "usage: exports.sh names|version-script TABLE" >&2
	exit 64
	;;
esac
