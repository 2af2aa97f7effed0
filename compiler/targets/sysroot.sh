#!/bin/sh
# Headers and libraries of another architecture, for `netc build --target=`: sysroot.sh aarch64|x86_64 DIR
#
# Debian's packages of that architecture, in the versions that this machine's own sources offer, are downloaded and
# unpacked into DIR; nothing is installed. Installing them would not do: libomp's packages for two architectures own the
# same paths. apt-get keeps its lists and its state in a folder of ours, so that the machine's stay what they are and no
# root is needed. DIR is complete or not there; DIR/packages lists names and versions.
set -eu

llvm=19
arch=${1:-} dir=${2:-}
case $arch in
    aarch64) debian=arm64 ;;
    x86_64) debian=amd64 ;;
    *) echo "usage: sysroot.sh aarch64|x86_64 DIR" >&2; exit 2 ;;
esac
[ -n "$dir" ] || { echo "usage: sysroot.sh aarch64|x86_64 DIR" >&2; exit 2; }
packages="libc6 libc6-dev linux-libc-dev libgcc-s1 libgcc-12-dev libomp5-$llvm libomp-$llvm-dev
    libjansson4 libjansson-dev zlib1g zlib1g-dev libpng16-16 libpng-dev libjpeg62-turbo libjpeg62-turbo-dev
    libprotobuf-c1 libprotobuf-c-dev libzip4 libzip-dev libbz2-1.0 libssl3
    libsqlite3-0 libsqlite3-dev"

for tool in apt-get dpkg-deb; do
    command -v $tool > /dev/null || {
        echo "sysroot: $tool is missing: this is no Debian. Copy the root file system of an $arch machine with clang's" \
             "libomp, jansson, libpng, libjpeg and zlib, and name it by NETC_SYSROOT" >&2
        exit 1
    }
done

mkdir -p "$dir.new/root" "$dir.new/debs" "$dir.new/state/lists/partial" "$dir.new/cache/archives/partial"
work=$(cd "$dir.new" && pwd)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
: > "$work/status"
apt() {
    apt-get -q -o APT::Architecture=$debian -o APT::Architectures=$debian -o APT::Sandbox::User=root \
        -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
        -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1 "$@" >> "$work/log" 2>&1
}

echo "sysroot: $(echo $packages | wc -w) packages for $debian to $dir"
# A source that does not have this architecture makes `update` fail: what counts is whether the packages come.
apt update || true
# shellcheck disable=SC2086
(cd "$work/debs" && apt download $packages) || {
    grep -E "^(E|Err):" "$work/log" | head -n 4 >&2 || true
    echo "sysroot: Debian's packages for $debian cannot be fetched: is there a network, and do the sources in /etc/apt" \
         "offer $debian?" >&2
    exit 1
}
for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$work/root"
    dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb" >> "$work/root/packages"
done
rm -rf "$work"/root/usr/share "$work"/root/usr/lib/llvm-*/lib/*.bc # documents; kernels for graphics cards
# libm.so -> /lib/... would leave the sysroot.
find "$work/root" -type l -lname '/*' | while read -r link; do
    ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$work/root$(readlink "$link")")" "$link"
done
rm -rf "$dir"
mv "$work/root" "$dir"
