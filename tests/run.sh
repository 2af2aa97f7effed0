#!/usr/bin/env bash
# Runs groups of tests and sums them up: tests/run.sh [GROUP...]
#
# A group is a folder of tests/ with a run.py or run.sh that prints a line a case: `ok NAME`, `not ok NAME - why` or
# `skip NAME - why`; other lines are details and go to build/tests/GROUP.log. It ends with 0, or with 3 if a case failed; one that
# ends in any other way, or says nothing at all, broke and is a failure itself. The last line is `N passed, N failed, N skipped`.
# `left out: WHAT` tells what only ALL=1 does.
#   UPDATE=1  rewrites the verdict files      ALL=1  every network on every target
set -u
cd "$(dirname "$0")/.." || exit 1
order=(unit lang pass loop bad run weights checkpoints tune sweep sweep_train compare report tables export libraries pictures watch install faults fuzz torch forms nets peers variants aarch64 sanitize slurm generated)
limit=${GROUP_SECONDS:-2400}
python=${PYTHON:-$([ -e build/venv/done ] && echo build/venv/bin/python3 || echo /usr/bin/python3)}
mkdir -p build/tests
rm -f build/tests/summary
passed=0 failed=0 skipped=0

groups=("$@")
if [ ${#groups[@]} = 0 ]; then
    groups=("${order[@]}")
    for script in tests/*/run.py tests/*/run.sh; do
        name=$(basename "$(dirname "$script")")
        [ -e "$script" ] && [[ " ${groups[*]} " != *" $name "* ]] && groups+=("$name")
    done
fi

count() { grep -c "^$1 " "$log"; }

for group in "${groups[@]}"; do
    log=build/tests/$group.log
    start=$SECONDS
    if [ -e "tests/$group/run.py" ]; then
        timeout -k 5 "$limit" "$python" "tests/$group/run.py" > "$log" 2>&1
        status=$?
    elif [ -e "tests/$group/run.sh" ]; then
        timeout -k 5 "$limit" bash "tests/$group/run.sh" > "$log" 2>&1
        status=$?
    else
        echo "skip $group - there is no tests/$group/run.py or run.sh" > "$log"
        status=0
    fi
    bad=$(count 'not ok')
    if [ "$status" != 0 ] && { [ "$status" != 3 ] || [ "$bad" = 0 ]; }; then
        why="ended with code $status"
        [ "$status" = 124 ] && why="took longer than $limit s"
        printf '\nnot ok %s - %s: %s\n' "$group" "$why" "$(tail -n 1 "$log")" >> "$log"
    elif [ "$(count ok)" = 0 ] && [ "$bad" = 0 ] && [ "$(count skip)" = 0 ]; then
        echo "not ok $group - it ran nothing" >> "$log"
    fi
    grep -E '^(not ok|skip|left out:) ' "$log"
    good=$(count ok) bad=$(count 'not ok') left=$(count skip)
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
    printf '%-10s %4d passed, %d failed, %d skipped  (%d s)%s\n' "$group" "$good" "$bad" "$left" $((SECONDS - start)) \
        "$([ "$bad" = 0 ] || echo "  details: $log")"
done

echo "$passed passed, $failed failed, $skipped skipped" | tee build/tests/summary
[ "$failed" = 0 ] && [ "$passed" != 0 ]
