#!/bin/sh
# Prints what the table of interposed calls exports:
#   exports.sh names TABLE
#   exports.sh version-script TABLE VERSION
# VERSION is libc's oldest one, under which the calls of versioned.h are exported.
set -eu
rows() { sed -n "s/^LF_\($1\)_CALL(\([A-Za-z0-9_]*\),.*/\2/p" "$2"; }
plain='FORMAT\|TEXT\|FD\|WIDE\|LOG\|TELL\|NOTICE\|SANDBOX'
versioned='WARN\|ERROR'
case $1 in
names)
	rows "$plain\|$versioned" "$2" | sort
	;;
version-script)
	# A symbol that no version names keeps none: what nobody else shall see is hidden already.
	echo "LOGFOLD_ANY { };"
	echo "$3 { global:"
	rows "$versioned" "$2" | sed 's/$/;/'
	echo "local: lf_hooked_*; };"
	;;
*)
	echo "usage: exports.sh names TABLE | version-script TABLE VERSION" >&2
	exit 64
	;;
esac
