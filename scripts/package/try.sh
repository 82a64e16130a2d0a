#!/usr/bin/env bash
# Tries the packages of build.sh as a newcomer would: each in a bare Debian root (debootstrap) with nothing of this repository
# in it but the small model.
#
#     sudo scripts/package/try.sh OUTDIR [DEBIAN-RELEASE | --here]
#
# Each runs the commands that README.md begins with, which must print what stands there. The archive and the Debian package
# bring man pages and completions, which the shells read; the wheel goes into a fresh venv and converts the model in three lines
# of Python. With --here they are put into an empty directory of this machine instead, which takes seconds, and finds less: what
# they need of the system is there.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$(realpath "$1")
release=${2:-bookworm}
cd "$(dirname "$0")/../.."
root=$(mktemp -d "${TMPDIR:-/tmp}/bare.XXXXXX")
# What Debian runs as other users has to get in.
chmod 755 "$root"
clean_up() {
    for mounted in proc dev/fuse; do ! mountpoint -q "$root/$mounted" || umount "$root/$mounted"; done
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT

if [ "$release" = --here ]; then
    top=$root
    mkdir -p "$root/root" "$root"/var/lib/dpkg/{info,updates}
    touch "$root/var/lib/dpkg/status"
    inside() { (cd "$root/root" && env -i PATH="$root/usr/bin:$PATH" HOME="$root/root" bash -euo pipefail -c "$1"); }
    debian() { dpkg --root="$root" --force-depends "$@" >/dev/null 2>&1; }
else
    top=
    debootstrap --variant=minbase --include=python3-venv,ca-certificates,zsh,fish "$release" "$root" >"$root.log" ||
        { cat "$root.log" >&2; exit 1; }
    rm -f "$root.log"
    mount -t proc proc "$root/proc"
    touch "$root/dev/fuse"
    mount --bind /dev/fuse "$root/dev/fuse"
    # inside SCRIPT: as a login there would run it.
    inside() {
        chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
            bash -euo pipefail -c "cd /root; $1"
    }
    debian() { chroot "$root" dpkg --force-depends "$@" >/dev/null; }
fi
mkdir "$root/packages"
cp "$out"/* "$root/packages/"
mkdir -p "$root/root/tests/models"
cp -r tests/models/tiny-llama "$root/root/tests/models/"

# What README.md begins with: commands, and lines that they print.
page=$(sed -n '/^## Try it/,/^## Install/p' README.md)
commands=$(sed -n 's/^\$ //p' <<<"$page")
promised=$(awk '/^```/ { if (shows) printf "%s", lines; lines = ""; shows = 0; code = !code; next }
    code && /^\$ / { shows = 1; next }
    code && NF && $1 != "..." { lines = lines $0 "\n" }' <<<"$page")
[ "$(wc -l <<<"$commands")" -ge 3 ] && [ "$(wc -l <<<"$promised")" -ge 4 ] || { echo "README.md does not begin with commands" >&2; exit 1; }

# first_page PATH: runs them with PATH before others.
first_page() {
    local said line
    said=$(inside "PATH=$1:\$PATH; { command -v ggraft; ggraft --version; $commands; } 2>&1")
    echo "$said"
    [ "$(head -1 <<<"$said")" = "$1/ggraft" ] || { echo "another ggraft was run" >&2; exit 1; }
    while IFS= read -r line; do
        # What time it takes is another matter.
        grep -qF -- "${line% in 0.*}" <<<"$said" || { echo "not printed: $line" >&2; exit 1; }
    done <<<"$promised"
    inside 'rm tiny*.gguf'
}

# extras SHARE: man pages and completions below SHARE, for as many shells as there are.
extras() {
    inside "pages=\$(ls $1/man/man1/ggraft*.1* | wc -l); echo \$pages man pages; [ \$pages -gt 15 ]
        for page in $1/man/man1/ggraft*.1*; do zcat -f \$page | grep -q '^\.TH ggraft'; done
        bash -c 'source $1/bash-completion/completions/ggraft; COMP_WORDS=(ggraft convert --outty); COMP_CWORD=2
            _ggraft ggraft --outty convert; [ \"\${COMPREPLY[*]}\" = --outtype ]'
        ! command -v zsh || zsh -n $1/zsh/vendor-completions/_ggraft
        ! command -v fish || fish --no-execute $1/fish/vendor_completions.d/ggraft.fish
        test -s $1/zsh/vendor-completions/_ggraft; test -s $1/fish/vendor_completions.d/ggraft.fish"
}

echo "== archive"
inside "tar -xzf $top/packages/ggraft-*.tar.gz; mv ggraft-* unpacked"
first_page "$top/root/unpacked/bin"
extras "$top/root/unpacked/share"

echo "== Debian package"
debian --install "$top/packages/$(basename "$out"/*.deb)"
first_page "$top/usr/bin"
extras "$top/usr/share"
debian --remove ggraft
if [ -d "$root/usr" ] && find "$root/usr" -name '*ggraft*' | grep .; then
    echo "the package left that when it was removed" >&2
    exit 1
fi

echo "== wheel"
inside "python3 -m venv venv; venv/bin/pip install --quiet --no-index $top/packages/*.whl"
first_page "$top/root/venv/bin"
extras "$top/root/venv/share"
inside 'venv/bin/python -c "
import ggraft
report = ggraft.convert(\"tests/models/tiny-llama\", outfile=\"tiny.gguf\")
print(report[\"outputs\"], ggraft.verify(\"tiny.gguf\", \"tests/models/tiny-llama\")[\"equal\"])"'
echo "each does what README.md says"
