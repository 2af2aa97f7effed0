#!/bin/sh
# Stands for clang where only netc itself is looked at, and takes no time: an object is its source and the weights beside it, a
# program all objects one after the other. So a program shows what it was made of. For the generated C it takes CLANG_TAKES seconds.
case $1 in
-dumpversion) echo 19 ;;
-print-file-name=*) echo libomp.so ;;
esac
compile= output= inputs=
while [ $# -gt 0 ]; do
    case $1 in
    -c) compile=$2 && shift ;;
    -o) output=$2 && shift ;;
    *.o) inputs="$inputs $1" ;;
    esac
    shift
done
if [ -n "$compile" ]; then
    case $compile in
    /*) ;; # the runtime
    *) [ -z "$CLANG_TAKES" ] || sleep "$CLANG_TAKES" ;;
    esac
    cat "$compile" $(ls ./*.weights 2> /dev/null) > "$output"
elif [ -n "$output" ]; then
    cat $inputs > "$output" && chmod +x "$output"
fi
