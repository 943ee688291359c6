#!/bin/sh
# Every night: take the newest baseline in, then write a report and an export.
#
#     examples/nightly.sh BASELINE_FILE REPORT_DIRECTORY
#     examples/nightly.sh pems REPORT_DIRECTORY
#
# With a file it pulls that file; with the word pems it pushes what is committed, then pulls from PEMS.
# Says nothing when all is well, so that cron sends no mail. Speaks on stderr, and cron mails it,
# when records were rejected or are in conflict (exit 3, the report is written all the same) or when a
# step failed. Organization, token, database and PEMS come from the environment or the profile; see
# nightly.cron beside this file.
set -u

if [ $# -ne 2 ]; then
    echo "usage: nightly.sh BASELINE_FILE|pems REPORT_DIRECTORY" >&2
    exit 2
fi
baseline=$1
reports=$2
pause=${NIGHTLY_PAUSE:-60}
partly=0
mkdir -p "$reports" || exit 74
said=$(mktemp) || exit 74
printed=$reports/.nightly.$$
trap 'rm -f "$said" "$printed"' EXIT

# step FILE COMMAND…: runs the command; what it prints becomes FILE, whole or not at all.
# Quiet on 0, again on 69 and 75 (up to three times), reported and remembered on 3, reported and the end
# of it all on anything else.
step() {
    file=$1
    shift
    tries=1
    while :; do
        "$@" >"$printed" 2>"$said"
        code=$?
        [ "$code" -eq 69 ] || [ "$code" -eq 75 ] || break
        [ "$tries" -lt 3 ] || break
        tries=$((tries + 1))
        sleep "$pause"
    done
    if [ "$code" -ne 0 ]; then
        echo "nightly: \"$*\" ended with $code" >&2
        cat "$said" >&2
        [ "$code" -eq 3 ] || exit "$code"
        partly=3
    fi
    [ "$file" = /dev/null ] || mv "$printed" "$file"
}

if [ "$baseline" = pems ]; then
    step /dev/null pfa sync push --quiet --if-locked wait
    step /dev/null pfa sync pull --quiet --if-locked wait
else
    step /dev/null pfa sync pull --from "$baseline" --quiet
fi
step "$reports/stats.csv" pfa stats --by category -o csv --quiet
step "$reports/records.jsonl" pfa list -o jsonl --quiet --error-format text
exit $partly
