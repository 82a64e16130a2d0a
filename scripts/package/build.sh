#!/usr/bin/env bash
# Builds what is published: a static binary in an archive, a Debian package, a wheel.
#
#     scripts/package/build.sh OUTDIR [--here]
#
# Needs the Rust toolchain with rustup, musl-tools (for the C library that onig is built with), dpkg-dev, Python with venv.
# The binary is static where the musl target can be had; elsewhere it is this machine's, which is said, and so are the names.
# With --here it is this machine's in any case: what is in target/release already need not be built again.
set -euo pipefail
[ $# -ge 1 ] && [ "${2:---here}" = --here ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(realpath "$1")
here=${2:-}
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
machine=$(uname -m)
musl=$machine-unknown-linux-musl
work=$(mktemp -d "${TMPDIR:-/tmp}/package.XXXXXX")
trap 'rm -rf "$work"' EXIT

# What cargo is asked for, where it puts it, and what pip calls machines that can run it.
if [ -z "$here" ] && rustup target add "$musl" >/dev/null 2>&1 && command -v musl-gcc >/dev/null; then
    export "CC_${musl//-/_}=musl-gcc"
    target=$musl
    flags=(--locked --release --target "$target")
    ggraft=${CARGO_TARGET_DIR:-target}/$target/release/ggraft
    tags=manylinux_2_17_$machine.musllinux_1_1_$machine
else
    target=$(rustc -vV | sed -n 's/^host: //p')
    flags=(--locked --release)
    ggraft=${CARGO_TARGET_DIR:-target}/release/ggraft
    tags=linux_$machine
    [ -n "$here" ] ||
        echo "$0: no musl target or no musl-gcc: the packages need a C library as new as this machine's" >&2
fi
cargo build "${flags[@]}" --bin ggraft

# What all of them hold, as it lies below /usr.
usr=$work/usr
install -Ds "$ggraft" "$usr/bin/ggraft"
mkdir -p "$usr/share/man/man1"
"$ggraft" man "$usr/share/man/man1"
complete() { mkdir -p "$usr/share/$(dirname "$2")" && "$ggraft" completions "$1" >"$usr/share/$2"; }
complete bash bash-completion/completions/ggraft
complete zsh zsh/vendor-completions/_ggraft
complete fish fish/vendor_completions.d/ggraft.fish
install -Dm 644 -t "$usr/share/doc/ggraft" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE

name=ggraft-$version-$target
cp -r "$usr" "$work/$name"
tar -C "$work" --owner=0 --group=0 --sort=name -czf "$out/$name.tar.gz" "$name"

deb=$work/deb
mkdir -p "$deb/DEBIAN"
cp -r "$usr" "$deb/usr"
gzip -9n "$deb"/usr/share/man/man1/*
cat LICENSE-MIT LICENSE-APACHE >"$deb/usr/share/doc/ggraft/copyright"
architecture=$(dpkg --print-architecture)
depends=$([[ $target == *musl ]] || echo "Depends: libc6 (>= $(ldd --version | sed -n '1s/.* //p'))")
cat >"$deb/DEBIAN/control" <<CONTROL
Package: ggraft
Version: $version
Architecture: $architecture
Maintainer: the ggraft developers <ggraft@localhost>
Section: science
Priority: optional
Installed-Size: $(du -ks "$deb/usr" | cut -f1)
Recommends: fuse3
${depends:+$depends
}Description: convert Hugging Face safetensors checkpoints to GGUF
 Converts model checkpoints to the files that llama.cpp runs. On Btrfs and XFS
 the new file shares the checkpoint's blocks instead of holding copies; on any
 other file system a model can be mounted as GGUF without being written.
CONTROL
dpkg-deb --root-owner-group --build "$deb" "$out/ggraft_${version}_$architecture.deb" >/dev/null

# maturin strips nothing without building again, and knows no files beside the program: the wheel is packed once more with them.
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'maturin>=1.9,<2' wheel
"$work/venv/bin/maturin" build "${flags[@]}" --auditwheel skip --compatibility linux --out "$work/wheels"
"$work/venv/bin/wheel" unpack --dest "$work/wheels" "$work"/wheels/*.whl >/dev/null
wheel=$work/wheels/ggraft-$version
mkdir -p "$wheel/ggraft-$version.data/data/share"
cp -r "$usr"/share/{man,bash-completion,zsh,fish} "$wheel/ggraft-$version.data/data/share/"
install "$usr/bin/ggraft" "$wheel/ggraft-$version.data/scripts/ggraft"
rm "$work"/wheels/*.whl
"$work/venv/bin/wheel" pack --dest-dir "$work/wheels" "$wheel" >/dev/null
"$work/venv/bin/wheel" tags --platform-tag "$tags" --remove "$work"/wheels/*.whl >/dev/null
cp "$work"/wheels/*.whl "$out/"
ls -l "$out"
