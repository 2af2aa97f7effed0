#!/usr/bin/env bash
# Installs netc, or takes it away again: `make install` and `make uninstall`.
#   share/install.sh install NETC      share/install.sh uninstall      with PREFIX and DESTDIR in the environment
#
# share/netc/installed lists what was installed and the folders that were made for it (they end in /): that and nothing
# else is removed again, by `uninstall` or where a later version lacks it. (An old runtime/x.c left behind would be
# compiled into every program.) No path is written down anywhere: netc looks for its files from where it lies itself.
set -eEu -o pipefail
umask 022
export LC_ALL=C
cd "$(dirname "$0")/.."
case $PREFIX in '~' | '~/'*) PREFIX=$HOME${PREFIX#'~'} ;; esac
root=${DESTDIR:+$DESTDIR/}$PREFIX
while [[ $root == *//* ]]; do root=${root//\/\///}; done
root=${root%/}
list=$root/share/netc/installed

# Mode, file of the tree and place below $root of everything, parted by tabs.
plan() {
    printf '%s\t%s\t%s\n' \
        755 "$1" bin/netc \
        644 share/netc.1 share/man/man1/netc.1 \
        644 share/completion/netc.bash share/bash-completion/completions/netc \
        644 share/completion/_netc share/zsh/site-functions/_netc \
        644 share/completion/netc.fish share/fish/vendor_completions.d/netc.fish \
        644 share/textmate/netc.tmLanguage.json share/netc/editors/netc.tmLanguage.json \
        644 README.md share/doc/netc/README.md \
        644 LICENSE share/doc/netc/LICENSE \
        644 grammar/LANGUAGE.md share/doc/netc/grammar/LANGUAGE.md \
        644 grammar/WEIGHTS.md share/doc/netc/grammar/WEIGHTS.md \
        644 grammar/TUNED.md share/doc/netc/grammar/TUNED.md \
        644 grammar/CHECKPOINTS.md share/doc/netc/grammar/CHECKPOINTS.md \
        644 grammar/ONNX.md share/doc/netc/grammar/ONNX.md \
        644 tests/torch/train_fashion.py share/netc/tests/torch/train_fashion.py \
        644 tests/torch/net_torch.py share/netc/tests/torch/net_torch.py \
        644 tests/torch/safetensors_numpy.py share/netc/tests/torch/safetensors_numpy.py \
        644 tests/torch/synthetic.py share/netc/tests/torch/synthetic.py \
        644 compiler/export/onnx.LICENSE share/doc/netc/onnx.LICENSE \
        644 compiler/sweep/report/chart.LICENSE share/doc/netc/chart.LICENSE
    (cd share/vim && find . -name '*.vim') | sed 's,^\./\(.*\),644\tshare/vim/\1\tshare/vim/vimfiles/\1,'
    find netdefs runtime -type f \( -name '*.net' -o -name '*.txt' -o -name '*.tsv' -o -name '*.rename' -o -name '*.safetensors' -o -name '*.[ch]' \) |
        sed 's,.*,644\t&\tshare/netc/&,'
}

# The folders above the places on standard input that are not there yet, or that an earlier install ($1) made.
own_folders() {
    while IFS= read -r place; do
        while [[ $place == */* ]]; do
            place=${place%/*}
            if [ ! -d "$root/$place" ] || grep -qxF -- "$place/" <<< "$1"; then echo "$place/"; fi
        done
    done
}

# Removes the files and empty folders that standard input names.
remove() {
    sort -r | while IFS= read -r name; do # a folder's name ends in /, so it comes behind what is in it
        case $name in
        */) [ ! -d "$root/$name" ] || rmdir --ignore-fail-on-non-empty "$root/$name" ;;
        ?*) rm -f "$root/$name" ;;
        esac
    done
}

install_all() {
    trap 'echo "install: not all of it could be written to $root; as another user, or to another PREFIX?" >&2' ERR
    local before='' new
    if [ -f "$list" ]; then before=$(cat "$list"); fi
    new=$(plan "$1" | cut -f3)$'\n'share/netc/installed
    new=$(printf '%s\n' "$new" "$(own_folders "$before" <<< "$new")" | sed '/^$/d' | sort -u)
    mkdir -p "$root/share/netc"
    printf '%s\n' "$before" "$new" > "$list" # interrupted, it still knows
    plan "$1" | while IFS=$'\t' read -r mode file place; do
        mkdir -p "$(dirname "$root/$place")"
        install -m "$mode" "$file" "$root/$place"
    done
    comm -23 <(sort <<< "$before") <(sort <<< "$new") | remove
    printf '%s\n' "$new" > "$list"
    echo "netc is in $root/bin, its files in $root/share/netc"
    case ":$PATH:" in *":$root/bin:"*) ;; *) [ "${DESTDIR-}" ] || echo "(PATH lacks $root/bin)" ;; esac
}

case $1 in
install) install_all "$2" ;;
uninstall)
    if [ -f "$list" ]; then
        remove < "$list" # read before it goes, by sort
        echo "netc is gone from $root"
    else
        echo "there is no netc in $root"
    fi
    ;;
esac
