#!/bin/sh
# The life of the package $1 in a copy of this system's root (an overlay; mount, network and process namespaces are
# this script's own): installed, started, upgraded, removed, purged. Fails at the first step that does. Without systemd
# as the first process, what the package does with it is left out.
set -eu

scratch=$(mktemp -d)
trap 'umount -l "$scratch" 2>/dev/null; rmdir "$scratch"' EXIT
mount -t tmpfs -o size=1g tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root" "$scratch/packages"
cp "$1" "$scratch/packages/old.deb"
dpkg-deb -R "$1" "$scratch/packages/new"
sed -i 's/^Version: .*/&+1/' "$scratch/packages/new/DEBIAN/control"
dpkg-deb -Znone --root-owner-group -b "$scratch/packages/new" "$scratch/packages/new.deb" >/dev/null
rm -rf "$scratch/packages/new"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
mount -t proc proc "$scratch/root/proc"
mount --bind /dev "$scratch/root/dev"
mount -t tmpfs tmpfs "$scratch/root/run"
mkdir "$scratch/root/mnt/packages"
mount --bind "$scratch/packages" "$scratch/root/mnt/packages"
ip link set lo up

chroot "$scratch/root" sh -eu <<'ROOT'
version() { dpkg-query -Wf '${Version}' sasyncd; }
running() { pgrep -f '^/usr/sbin/sasyncd ' >/dev/null; }

dpkg -i /mnt/packages/old.deb >/dev/null
echo "installed $(version)"
getent passwd _sasyncd >/dev/null && echo "user made"
man -w sasyncd >/dev/null 2>&1 || test -e /usr/share/man/man8/sasyncd.8.gz
(umask 077; { echo "mode slave"; echo "kernel memory"; echo "control none"; /usr/sbin/sasyncd genkey; } >/etc/sasyncd.conf)
/usr/sbin/sasyncd
running && echo "started"
dpkg -i /mnt/packages/new.deb >/dev/null
echo "upgraded $(version)"
test -s /etc/sasyncd.conf && running && echo "configuration kept, the old daemon runs on"
pkill -f '^/usr/sbin/sasyncd '
for _ in 1 2 3 4 5 6 7 8 9 10; do running || break; sleep 1; done
/usr/sbin/sasyncd && running && echo "started again"
pkill -f '^/usr/sbin/sasyncd '
for _ in 1 2 3 4 5 6 7 8 9 10; do running || break; sleep 1; done
dpkg --remove sasyncd >/dev/null
test ! -e /usr/sbin/sasyncd && test -s /etc/sasyncd.conf && echo "removed, configuration kept"
rm /etc/sasyncd.conf
dpkg --purge sasyncd >/dev/null 2>&1
! getent passwd _sasyncd >/dev/null && echo "purged"
ROOT
left=$(cd "$scratch/upper" && find . -name '*sasyncd*' ! -type c)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
