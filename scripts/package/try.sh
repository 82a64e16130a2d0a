#!/usr/bin/env bash
# Tries the packages of build.sh as a newcomer would: each in a bare Debian root (debootstrap) with nothing of this repository
# in it but the small model.
#
#     sudo scripts/package/try.sh OUTDIR [DEBIAN-RELEASE]
#
# The archive and the Debian package convert the model, verify the file and print a man page's name and completions; the wheel
# goes into a fresh venv and converts it in three lines of Python. Prints what each printed.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$(realpath "$1")
release=${2:-bookworm}
cd "$(dirname "$0")/../.."
root=$(mktemp -d "${TMPDIR:-/tmp}/bare.XXXXXX")
trap 'umount -q "$root/proc" || true; rm -rf --one-file-system "$root"' EXIT
debootstrap --variant=minbase --include=python3-venv,ca-certificates "$release" "$root" >"$root.log" || { cat "$root.log" >&2; exit 1; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
mkdir "$root/packages"
cp "$out"/* "$root/packages/"
cp -r tests/models/tiny-llama "$root/root/"

# inside SCRIPT: in the bare root, as a login there would.
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root bash -euc "cd /root; $1"; }
first_page='ggraft --version
ggraft convert tiny-llama --outfile tiny.gguf
ggraft verify tiny.gguf tiny-llama
ggraft inspect tiny.gguf | grep -c "^blk"
rm tiny.gguf'

echo "== archive"
inside 'tar -xzf /packages/ggraft-*.tar.gz; mv ggraft-* unpacked'
inside "PATH=/root/unpacked/bin:\$PATH; $first_page"

echo "== Debian package"
inside 'dpkg --install --force-depends /packages/*.deb >/dev/null'
inside "$first_page"
inside 'test -s /usr/share/man/man1/ggraft-convert.1.gz; bash -n /usr/share/bash-completion/completions/ggraft'
inside 'dpkg --remove ggraft >/dev/null; ! command -v ggraft'

echo "== wheel"
inside 'python3 -m venv venv; venv/bin/pip install --quiet --no-index /packages/*.whl'
inside "PATH=/root/venv/bin:\$PATH; $first_page"
inside 'venv/bin/python -c "
import ggraft
report = ggraft.convert(\"tiny-llama\", outfile=\"tiny.gguf\")
print(report[\"outputs\"], ggraft.verify(\"tiny.gguf\", \"tiny-llama\")[\"equal\"])"'
