#!/usr/bin/env bash
# Fuzzes every reader for FUZZ_SECONDS (20): the language, the IR texts, the header of weights files. What is found stands in build/fuzz/found/.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${FUZZ_SECONDS:-20}
export NETDEFS=$PWD/netdefs
failed=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    short=${name#fuzz_}
    corpus=build/fuzz/corpus/$short
    found=build/fuzz/found/$short
    mkdir -p "$corpus" "$found"
    case $short in
        net) seeds=(netdefs/*.net netdefs/*/*.net tests/lang/*.net) ;;
        graph) seeds=(tests/pass/*.ir) ;;
        loop) seeds=(tests/loop/*.loop) ;;
        *) seeds=(tests/fuzz/seeds/"$short"/*) ;;
    esac
    for seed in "${seeds[@]}" tests/fuzz/found/"$short"/*; do
        [ -f "$seed" ] && cp "$seed" "$corpus/seed-${seed//\//-}"
    done
    dictionary=()
    [ -f "tests/fuzz/$short.dict" ] && dictionary=(-dict="tests/fuzz/$short.dict")
    log=build/fuzz/$short.log
    if build/fuzz/fuzz/"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -max_len=20000 -print_final_stats=1 \
        "${dictionary[@]}" -artifact_prefix="$found/" "$corpus" > "$log" 2>&1; then
        echo "$short: nothing found in $seconds s, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    else
        echo "$short: FOUND, see $log and $found/"
        failed=1
    fi
done
exit $failed
