# Completion of netc for bash. It asks the netc that would run (netc --complete, see compiler/complete.c), so it knows
# what that one knows.
_netc()
{
    local i word glue='' typed done kind count endings ending path start
    local words=() lines found more
    # bash parts words at = and : as well; netc does not.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 1)) && [[ $glue || $word == [=:]* ]]; then words[-1]+=$word; else words+=("$word"); fi
        [[ $word == *[=:] ]] && glue=1 || glue=
    done
    typed=${words[-1]}
    # What readline takes as done already: up to the last sign at which it parts words.
    done=
    [[ $COMP_WORDBREAKS == *=* && $typed == *=* ]] && done=${typed%"${typed##*=}"}
    [[ $COMP_WORDBREAKS == *:* && ${typed#"$done"} == *:* ]] && done=${typed%"${typed##*:}"}

    COMPREPLY=()
    compopt +o default -o filenames -o nosort
    mapfile -t lines < <("${COMP_WORDS[0]/#\~/$HOME}" --complete "${words[@]//[\"\'\\]/}" 2> /dev/null)
    for word in "${lines[@]}"; do
        if [[ $word != $'\t'* ]]; then
            word=${word%%$'\t'*}
            [[ $word == *[=:+] ]] && compopt -o nospace
            COMPREPLY+=("${word#"$done"}")
            continue
        fi
        # An order: files or folders, behind `count` characters, with these endings.
        read -r kind count endings <<< "${word#$'\t'}"
        start=${typed:0:count} path=${typed:count}
        mapfile -t found < <(compgen -d -- "$path")
        [[ $kind == files && ! $endings ]] && mapfile -t found < <(compgen -f -- "$path")
        for ending in $endings; do
            mapfile -t more < <(compgen -f -X "!*$ending" -- "$path")
            found+=("${more[@]}")
        done
        start=${start#"$done"}
        COMPREPLY+=("${found[@]/#/$start}")
        compopt -o default # where none fits: readline's own, all files
    done
}
complete -F _netc netc
