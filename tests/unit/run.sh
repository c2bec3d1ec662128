#!/bin/sh
# Runs a Criterion program and believes nothing: run.sh PROGRAM
# A filter that matches nothing, an exit(0) in tested code and a leak report all pass in Criterion's
# eyes, so the number of tests is held against the sources, and the log is searched.
set -eu
program=$1
log=$program.log
floor=$(cat "$(dirname "$0")"/test_*.c | grep -c '^\(Test\|ParameterizedTest\|Theory\)(')

rc=0
UBSAN_OPTIONS=print_stacktrace=1 "$program" --timeout 60 --jobs 2 >"$log" 2>&1 </dev/null || rc=$?
tested=$(sed -n 's/.*Synthesis: Tested: [^0-9]*\([0-9]*\).*/\1/p' "$log" | sed 's/\x1b\[[0-9;]*m//g')
tail -n 1 "$log"
if [ "$rc" -ne 0 ] || grep -q 'SUMMARY:\|runtime error:' "$log"; then
	grep -v '^\[====\]' "$log" | tail -n 100
	echo "run.sh: $program failed; the whole log is $log" >&2
	exit 1
fi
if [ "${tested:-0}" -lt "$floor" ]; then
	echo "run.sh: $program ran ${tested:-0} tests where the sources have $floor" >&2
	exit 1
fi
