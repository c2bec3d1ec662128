#!/bin/sh
# Runs a Criterion program and believes nothing: run.sh PROGRAM [FOLDER of its sources]
# A filter that matches nothing, an exit(0) in tested code and a leak report all pass in Criterion's
# eyes, so the number of tests is held against the sources, and the log is searched.
set -eu
program=$1
log=$program.log
floor=$(cat "${2:-$(dirname "$0")}"/test_*.c | grep -c '^\(Test\|ParameterizedTest\|Theory\)(')

# Criterion itself forgets 48 bytes now and then: leaks are judged by who allocated, below.
# Its --timeout lowers what a test or a suite says of itself, and is none for those that say nothing: what hangs
# there ends with the program.
rc=0
LSAN_OPTIONS=exitcode=0 UBSAN_OPTIONS=print_stacktrace=1 sh "$(dirname "$0")/in_folder.sh" \
	timeout --foreground --kill-after=10 900 "$program" --timeout 300 --jobs 2 >"$log" 2>&1 </dev/null || rc=$?
tested=$(sed -n 's/.*Synthesis: Tested: [^0-9]*\([0-9]*\).*/\1/p' "$log")
leaks=$(awk '/leak of [0-9]+ byte/ { leak = $0; next }
	leak && / #1 / { if (!/libcriterion/) print leak "\n" $0; leak = "" }' "$log")
errors=$(grep 'runtime error:\|SUMMARY:' "$log" | grep -v 'byte(s) leaked' || :)

grep Synthesis "$log" || tail -n 1 "$log"
if [ "$rc" -ne 0 ] || [ -n "$leaks$errors" ]; then
	grep -v '^\[====\]' "$log" | tail -n 100
	printf '%s\n%s\n' "$leaks" "$errors"
	echo "run.sh: $program failed; the whole log is $log" >&2
	exit 1
fi
if [ "${tested:-0}" -lt "$floor" ]; then
	echo "run.sh: $program ran ${tested:-0} tests where the sources have $floor" >&2
	exit 1
fi
