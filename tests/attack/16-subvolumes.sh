#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A payload on btrfs: its owner may make subvolumes and snapshots there by ioctl,
# which no mount stops.  A snapshot shows what a mask hides, and one that is
# read-only outlives its run.
# run-as: root
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need mkfs.btrfs btrfs losetup python3 truncate

USER_ID=12345
truncate -s 128M "$T/disk"
mkfs.btrfs -q "$T/disk" || skip "no btrfs can be made"
mkdir "$T/fs"
mount -o loop,user_subvol_rm_allowed "$T/disk" "$T/fs" 2>"$T/err" ||
	skip "no btrfs can be mounted: $(head -n 1 "$T/err")"
on_exit 'umount "$T/fs"'
export XDG_STATE_HOME=$T/fs/state
P=$T/fs/project
mkdir "$T/fs/home"
btrfs -q subvolume create "$P" >"$T/out"
btrfs -q subvolume create "$T/fs/home/precious" >"$T/out"
echo kept >"$T/fs/home/precious/file"
id=$(stat -c %i "$T/fs/home/precious")
subvolume=$(btrfs subvolume list "$T/fs" | awk '$NF == "home/precious" { print $2 }')
echo secret >"$P/.env"
chown -R $USER_ID:$USER_ID "$P" "$T/fs/home"
chmod 711 "$T" "$T/fs"

# make.py WHAT: with ioctls of the current folder
cat >"$P/make.py" <<-'END'
	import fcntl, os, struct, sys
	here = os.open(".", os.O_RDONLY)
	def args(fd, flags, name):
	    return bytearray(struct.pack("qQQ4Q", fd, 0, flags, 0, 0, 0, 0) + name.ljust(4040, b"\0"))
	calls = {
	    "subvolume": (0x5000940e, bytearray(struct.pack("q", 0) + b"sub".ljust(4088, b"\0"))),
	    "snapshot": (0x50009417, args(here, 0, b"snap")),
	    "read-only": (0x50009417, args(here, 2, b"locked")),
	    "delete": (0x5000943f, args(0, 16, struct.pack("Q", int(sys.argv[2])))),
	}
	try:
	    fcntl.ioctl(here, *calls[sys.argv[1]])
	    print("done")
	except OSError as e:
	    print(e.strerror)
END
as_user() {
	(cd "$1" && setpriv --reuid $USER_ID --regid $USER_ID --clear-groups "${@:2}")
}

echo "# outside"
for what in subvolume snapshot read-only; do
	is "$what" "$(as_user "$P" python3 make.py "$what" 0)" "done"
done
is "a snapshot shows the secret" "$(cat "$P/snap/.env")" secret
btrfs -q subvolume create "$T/fs/home/other" >"$T/out"
chown $USER_ID "$T/fs/home/other"
other=$(btrfs subvolume list "$T/fs" | awk '$NF == "home/other" { print $2 }')
is "delete, by number" "$(as_user "$P" python3 make.py delete "$other")" "done"
btrfs -q property set "$P/locked" ro false
btrfs -q subvolume delete "$P/sub" "$P/snap" "$P/locked" >"$T/out"

echo "# inside"
for what in subvolume snapshot read-only delete; do
	run "$M9M" -q --no-artifact --project "$P" --project-mode bind \
		python3 make.py "$what" "$subvolume"
	is "in a project, $what" "$(cat "$T/out")" "Operation not permitted"
	run "$M9M" -q --no-artifact --input "$P/make.py" \
		python3 make.py "$what" "$subvolume"
	is "in a workdir, $what" "$(cat "$T/out")" "Operation not permitted"
done
is "nothing was made" "$(cd "$P" && echo *)" make.py
is "nor taken" "$(stat -c %i "$T/fs/home/precious") $(cat "$T/fs/home/precious/file")" "$id kept"
expect_exit 0 "$M9M" -q --no-artifact --project "$P" --project-mode bind \
	sh -c 'cp --reflink=always make.py copy && rm copy'
