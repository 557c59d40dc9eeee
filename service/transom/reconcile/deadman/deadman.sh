# Keeps what boots now, arms the way back before a reboot, disarms it when the reboot was good, and goes back when it was not.
# POSIX sh with GNU coreutils and util-linux; runs in a mount namespace of its own (unshare --mount), where it mounts ESPs. What is
# mounted outside comes there too (--propagation slave): else an automounted ESP could not be read.
#   keep    RUN BOOT KERNEL PATH...    copies of what boots now and of the files that are to change
#   left    RUN                        notes what the run has made of them, right before the reboot
#   arm     RUN BOOT SECONDS CARD      this script (from standard input), its units, the card's text; then the mark
#   disarm  RUN                        gives onboot back to guests; everything goes again, but for those whom it cannot be given
#   forget  RUN                        a rollback that a person has seen: its mark and its copies go
#   given   RUN                        onboot has been given back: no list of it is needed any more
#   starts                             gives onboot back where nobody else has in a while
#   roll    unit|now                   goes back, and reboots once; `unit`: not in the boot in which it was armed
# Each step can be done again: after a loss of power anywhere, the next boot's `roll` comes to the same end.
# The output of all but `roll` is one line, `WORD DETAIL`; the caller knows the words.
set -u
LC_ALL=C PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
SYSTEMCTL_SKIP_AUTO_KEXEC=1 SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT=1 # a kernel that somebody has loaded is not what is gone back to
export LC_ALL PATH SYSTEMCTL_SKIP_AUTO_KEXEC SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT
umask 077
base=/var/lib/transom/rollback
aside=/var/lib/transom/replaced
units=/etc/systemd/system
wants=$units/sysinit.target.wants
starts=transom-onboot
name=transom-rollback
card=/root/transom-undo.sh
lock=/run/lock/transom.lock
uuids=/etc/kernel/proxmox-boot-uuids
tab=$(printf '\t')
line='
'
problems=

say() { printf '%s %s\n' "$1" "${2-}"; exit 0; }
digest() { set -- "$(sha256sum <"$1")" || return 1; printf '%s' "${1%% *}"; }
boot_id() { cat /proc/sys/kernel/random/boot_id; }
field() { sed -n "s/^$2=//p" "$1" 2>/dev/null | head -n 1; }

# Standard input becomes the file $1 with mode $2, whole and durable.
put() {
    { cat >"$1.new" && chmod "$2" "$1.new" && sync "$1.new" && mv -fT "$1.new" "$1" && sync "${1%/*}"; } && return
    rm -f "$1.new"
    return 1
}

# Whether the function $2, run aside, ends within $1 s. PVE's tools hang with /etc/pve, a storage or a QEMU, and then no signal ends
# them: nothing here waits for them any longer.
within() {
    ended=/run/transom-rollback.$$.$2 # whoever comes after one that hangs is not told by it
    rm -f "$ended"
    { "$2"; : >"$ended"; } >/dev/null 2>&1 8>&- 9>&- &
    tries=$(($1 * 5))
    while [ ! -f "$ended" ] && [ "$tries" -gt 0 ]; do
        sleep 0.2
        tries=$((tries - 1))
    done
    [ ! -f "$ended" ] || { rm -f "$ended"; return 0; }
    return 1
}

locked() {
    mkdir -p "${lock%/*}"
    exec 9>>"$lock"
    flock -w "$1" 9
}

# --- ESPs ---------------------------------------------------------------------------------------------------------------

# Where the ESP with UUID $1 is mounted, after mounting it ($2: ro or rw) if it is not.
esp_at() {
    device=/dev/disk/by-uuid/$1
    at=$(findmnt -fnro TARGET -S "$(readlink -f "$device")" 2>/dev/null) && [ -n "$at" ] && return
    at=/run/transom-esp/$1
    mkdir -p "$at"
    mountpoint -q "$at" || mount -t vfat -o "$2,nosuid,nodev,noexec" "$device" "$at"
}

listed() { [ -s "$uuids" ] && grep -Eo '^[0-9A-Fa-f-]+$' "$uuids"; }

# What a boot by this ESP reads, of the folder $1. Its seed of randomness changes by itself.
boots_from() {
    (cd "$1" && find . -type f \( -path './loader/*' -o -path './grub/grub.cfg' -o -name 'initrd*' -o -name 'vmlinuz*' \
        -o -name linux \) ! -path './loader/random-seed' | sed 's,^\./,,' | sort)
}

# --- keep ---------------------------------------------------------------------------------------------------------------

noted() { [ -f "$folder/manifest" ] && cut -f1,2 "$folder/manifest" | grep -Fxq -- "$1$tab$2"; }

note() { { [ ! -f "$folder/manifest" ] || cat "$folder/manifest"; printf '%s\n' "$1"; } | put "$folder/manifest" 600; }

# One file: $1 is `-` or an ESP's UUID, $2 its path in the manifest, $3 where it lies now. The first image stays.
keep_file() {
    noted "$1" "$2" && return
    if [ -L "$3" ] || { [ -e "$3" ] && [ ! -f "$3" ]; }; then say refused "$3 is no regular file"; fi
    if [ ! -e "$3" ]; then
        keep_folders "${3%/*}"
        note "$1$tab$2${tab}absent$tab-$tab-$tab-$tab-" || say refused "cannot write $folder/manifest"
        return
    fi
    image=$(digest "$3") || say refused "cannot read $3"
    if [ ! -f "$folder/$image" ]; then
        put "$folder/$image" 600 <"$3" || say refused "cannot keep $3 in $folder"
        [ "$(digest "$folder/$image")" = "$image" ] || say refused "$3 changes while it is kept"
    fi
    note "$1$tab$2${tab}file$tab$image$tab$(stat -c "%04a$tab%u:%g$tab%.9Y" "$3")" || say refused "cannot write $folder/manifest"
}

# Folders that a new file will need, the outermost first.
keep_folders() {
    [ ! -d "$1" ] || return 0
    keep_folders "${1%/*}"
    noted - "$1" || note "-$tab$1${tab}dir$tab-$tab-$tab-$tab-" || say refused "cannot write $folder/manifest"
}

# File systems of their own from which it boots: one that cannot be mounted later must not be taken for an empty folder.
keep_mounts() {
    for at in /boot /boot/efi /efi; do
        ! mountpoint -q "$at" || noted - "$at" || note "-$tab$at${tab}mount$tab-$tab-$tab-$tab-" ||
            say refused "cannot write $folder/manifest"
    done
}

on_disk() {
    for path in "$@" /boot/grub/grub.cfg /boot/grub/grubenv /boot/initrd.img-* /boot/vmlinuz-*; do
        case $path in *'*') continue ;; /boot/*) [ -f "$path" ] || continue ;; esac
        printf '%s\n' "$path"
    done
    [ ! -s "$uuids" ] || return 0
    for at in /boot/efi /efi /boot; do
        [ ! -d "$at/loader/entries" ] || boots_from "$at" | sed "s,^,$at/,"
    done
}

by_path() { while IFS= read -r path; do [ -z "$path" ] || printf '%s\t%s\t%s\n' - "$path" "$path"; done; }

# Each file that is kept: its place, its path there, where it lies.
everything() {
    on_disk "$@" | by_path
    listed | while IFS= read -r uuid; do
        esp_at "$uuid" ro || { printf '!\t%s\t-\n' "$uuid"; continue; }
        boots_from "$at" | while IFS= read -r path; do printf '%s\t%s\t%s\n' "$uuid" "$path" "$at/$path"; done
    done
}

# What an earlier run kept in this very boot is what boots, whatever has been written since; only files that are to change are added
# to it, for a kernel that came meanwhile has that run's change in its image and entry. Others' is not needed any more.
take_over() {
    for old in "$base"/*/boot; do
        [ -f "$old" ] || continue
        old=${old%/boot}
        if [ "$(cat "$old/boot")" = "$boot" ] && [ ! -d "$folder" ]; then
            mv "$old" "$folder" && sync "$base" || say refused "cannot rename $old"
        elif [ "$old" != "$folder" ] && [ "${old##*/}" != "$(field "$base/rolled-back" run)" ] && [ ! -f "$old/onboot" ]; then
            rm -rf "$old"
        fi
    done
}

keep() {
    run=$1 boot=$2 kernel=$3
    shift 3
    folder=$base/$run
    mkdir -p "$base" || say refused "cannot make $base"
    locked 10 || say busy "$lock"
    take_over
    mkdir -p "$folder" && { [ -f "$folder/boot" ] || : >"$folder/keeping"; } &&
        printf '%s\n' "$boot" | put "$folder/boot" 600 || say refused "cannot write below $folder"
    if [ -f "$folder/keeping" ]; then everything "$@"; else printf '%s\n' "$@" | by_path; fi >"$folder/list" ||
        say refused "cannot write $folder/list"
    if lost=$(grep -m 1 '^!' "$folder/list"); then say refused "ESP $(printf %s "$lost" | cut -f2) cannot be mounted"; fi
    rm -f "$folder/left"
    room "$folder/list"
    keep_mounts
    while IFS=$tab read -r place path there; do keep_file "$place" "$path" "$there"; done <"$folder/list"
    by_name "/boot/vmlinuz-$kernel" vmlinuz
    by_name "/boot/initrd.img-$kernel" initrd.img
    rm -f "$folder/list" "$folder/keeping" # cut off before that, nothing has been changed, and all of it is kept again
    say kept "$(cut -f4 "$folder/manifest" | grep -vc -- '^-$') files in $folder"
}

# The kept copy of $1 as $2 too, for whoever has to type it at the boot loader's prompt.
by_name() {
    image=$(grep "^-$tab$1${tab}file$tab" "$folder/manifest" | cut -f4)
    [ -z "$image" ] || ln -f "$folder/$image" "$folder/$2" || say refused "cannot write $folder/$2"
}

# Free space for all of them, though images that are alike are kept once, and for the run's own before-images.
room() {
    need=16384
    for size in $(cut -f3 "$1" | tr '\n' '\0' | xargs -0r stat -c %s -- 2>/dev/null); do need=$((need + size / 1024 + 4)); done
    free=$(df -k --output=avail "$base" | tail -n 1 | tr -d ' ')
    [ "${free:-0}" -ge "$need" ] || say short "$need ${free:-0}"
}

# What differs from it when the node goes back is not the run's.
left() {
    run=$1 folder=$base/$1
    [ -f "$folder/manifest" ] || say left
    locked 10 || say busy "$lock"
    set --
    while IFS=$tab read -r place path _; do [ "$place" != - ] || set -- "$@" "$path"; done <"$folder/manifest"
    everything "$@" | while IFS=$tab read -r place path there; do is_small "$there" && digest "$there" && echo; done |
        put "$folder/left" 600 || say refused "cannot write $folder/left"
    say left
}

# --- arm and disarm -----------------------------------------------------------------------------------------------------

# Without default dependencies, so that neither a network nor a service that hangs keeps it from starting; emergency mode does not
# end it either. It has no condition: it starts before a /var of its own is mounted.
timer() {
    cat <<UNIT
[Unit]
Description=Transom: go back unless this boot is confirmed
DefaultDependencies=no
IgnoreOnIsolate=yes
Conflicts=shutdown.target
Before=shutdown.target

[Timer]
OnBootSec=$1
AccuracySec=1s
UNIT
}

service() {
    cat <<UNIT
[Unit]
Description=Transom: go back to what booted before
ConditionPathExists=$base/armed
DefaultDependencies=no
IgnoreOnIsolate=yes
After=local-fs.target
RequiresMountsFor=$base
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=60
ExecStart=/usr/bin/unshare --mount --propagation slave /bin/sh $base/deadman.sh roll unit
UNIT
}

rescue() {
    printf '#!/bin/sh\n'
    printf '%s\n' "$1" | sed 's/^/# /; s/ *$//'
    printf 'exec unshare --mount --propagation slave /bin/sh %s/deadman.sh roll now\n' "$base"
}

arm() {
    run=$1 boot=$2 within=$3 folder=$base/$1
    [ -f "$folder/manifest" ] || say refused "nothing is kept in $folder"
    put "$base/deadman.sh" 600 || say refused "cannot write $base/deadman.sh"
    locked 10 || say busy "$lock"
    [ "$(boot_id)" = "$boot" ] || say refused "the node has rebooted meanwhile"
    if [ ! -d "$wants" ]; then : >"$base/made-wants" && mkdir -m 755 "$wants"; fi
    {
        timer "$within" | put "$units/$name.timer" 644 && service | put "$units/$name.service" 644 &&
            rescue "$4" | put "$card" 700 && ln -sfn "../$name.timer" "$wants/$name.timer" && sync "$wants" "$units" &&
            starts_units && rm -f "$base/rolled-back" "$base/rolling" && printf '' | put "$base/ready" 600 && spare &&
            printf '%s %s %s\n' "$run" "$boot" "$within" | put "$base/armed" 600
    } || say refused "cannot write the units below $units"
    say armed "$within"
}

# What a full disk needs to tell that it went back: the mark `rolling`, which only gets its name, and the room for `rolled-back`.
spare() {
    problems= here=-
    problem 'what came of it could not be written here'
    told "$(reason unit)" | padded | put "$base/spare" 600
}

padded() { { cat; head -c 16384 /dev/zero | tr '\0' '\n'; } | head -c 16384; }

# Everything of `arm` but the mark, which has gone before; and but for what gives onboot back, as long as that is owed.
remove_units() {
    rm -f "$wants/$name.timer" "$units/$name".timer* "$units/$name".service* "$card" "$card.new" "$base"/*.new
    rm -f "$base/ready" "$base/spare"
    if ! owed; then
        [ ! -f "$units/$starts.timer" ] || timeout 10 systemctl stop "$starts.timer" 2>/dev/null
        rm -f "$wants/$starts.timer" "$units/$starts".timer* "$units/$starts".service* "$base/deadman.sh"
        [ ! -f "$base/made-wants" ] || { rmdir "$wants" 2>/dev/null; rm -f "$base/made-wants"; }
    fi
    sync "$units" "$base"
}

disarm() {
    [ -d "$base" ] || say disarmed
    locked 10 || say busy "$lock"
    [ ! -f "$base/rolling" ] || say rolling "$1"
    [ "$(field "$base/rolled-back" run)" != "$1" ] || say rolled "$1"
    if [ -f "$base/armed" ]; then
        read -r run _ <"$base/armed"
        [ "$run" = "$1" ] || say refused "it is armed for run $run"
        folder=$base/$1
        rm -f "$base/armed" && sync "$base" || say refused "cannot remove $base/armed"
        sweep
        onboot_back # here, for whoever confirms may not live to do it; last, for it may take its time
    fi
    [ ! -f "$base/$1/onboot" ] || touch "$base/$1/onboot" # whoever confirms is about to give it back
    remove_units
    [ ! -d "$base/$1" ] || find "$base/$1" -mindepth 1 ! -name onboot -delete
    rmdir "$base/$1" 2>/dev/null
    rmdir "$base" 2>/dev/null
    say disarmed
}

forget() {
    locked 10 || say busy "$lock"
    [ "$(field "$base/rolled-back" run)" = "$1" ] || say refused "$1 has not been rolled back here"
    finish
    [ ! -d "$base/$1" ] || find "$base/$1" -mindepth 1 ! -name onboot -delete
    rm -f "$base/rolled-back"
    rmdir "$base/$1" "$base" 2>/dev/null
    say forgotten
}

# --- roll ---------------------------------------------------------------------------------------------------------------

# Each once. In memory, for the disk may be full.
problem() {
    case $problems in *"problem=$1$line"*) ;; *) problems="${problems}problem=$1$line" ;; esac
}

# The log of the boot that failed; the first one stays, should this be begun again in another boot.
keep_log() {
    [ ! -f "$folder/journal" ] || return 0
    timeout 60 journalctl -b --no-pager 2>/dev/null | tail -c 4194304 | put "$folder/journal" 600
}

# What HA keeps is HA's: a shutdown by hand would tell it to leave the VM off for good.
guests_down() {
    command -v qm || return 0
    for vmid in $(timeout -k 10 30 qm list | sed -nE 's/^ *([0-9]+) +(VM [0-9]+|[^ ]+) +running .*/\1/p'); do
        grep -qs "^vm: $vmid\$" /etc/pve/ha/resources.cfg && continue
        timeout -k 10 100 qm shutdown "$vmid" --timeout 60 --forceStop 1 &
    done
    wait
}

finish() {
    rm -f "$base/rolling" "$base/armed"
    sync "$base"
    [ -f "$base/armed" ] || remove_units
}

# A later run of the boot that armed may have taken the copies over without having come to arm the node itself.
taken_over() {
    [ ! -d "$base/$run" ] || return 0
    for old in "$base"/*/boot; do
        [ ! -f "$old" ] || [ "$(cat "$old")" != "$boot" ] || { old=${old%/boot} run=${old##*/}; }
    done
}

roll() {
    [ -f "$base/armed" ] || { echo "Nothing is armed: there is nothing to go back from."; exit 0; }
    mkdir -p "${lock%/*}"
    exec 8>>"$lock.roll"
    flock -n 8 || { echo "The node is going back already."; exit 0; }
    locked 60 # whoever still holds it has been cut off with the network
    read -r run boot within <"$base/armed" || exit 0 # confirmed meanwhile
    here=$(boot_id)
    if [ "$1" = unit ] && [ "$here" = "$boot" ]; then exit 0; fi
    taken_over
    folder=$base/$run
    if [ "$(field "$base/rolled-back" run)" = "$run" ] && [ "$(field "$base/rolled-back" boot)" != "$here" ]; then
        finish # all was done, and this is the boot afterwards
        exit 0
    fi
    # a reboot that changes nothing would be followed by the next one
    writable "$base" && writable /etc || { echo "Nothing can be written: no reboot. The unit tries again every minute."; exit 1; }
    [ -f "$base/rolling" ] || mv -fT "$base/ready" "$base/rolling" || touch "$base/rolling"
    sync "$base"
    problems=
    keep_log
    hangs=
    within 150 guests_down || { hangs=1; problem "PVE did not shut the guests down in time, and they were not waited for"; }
    restore_all
    keep_log
    rm -f /var/lib/transom/reboot-from
    [ -n "$hangs" ] || onboot_back # else transom-onboot.timer does, in the next boot
    list_aside
    record "$(reason "$1")"
    finish
    [ ! -f "$base/armed" ] || { echo "The mark $base/armed cannot be removed: no reboot. The unit tries again every minute."; exit 1; }
    if [ -n "$problems" ]; then printf '%sAll else is as before; rebooting.\n' "$problems"; else echo "Everything is as before; rebooting."; fi
    restart
}

reason() { if [ "$1" = unit ]; then echo "not confirmed within $within s"; else echo 'by hand'; fi; }

told() {
    printf 'run=%s\nat=%s\nboot=%s\nreason=%s\n' "$run" "$(date +%s)" "$here" "$1"
    printf %s "$problems"
}

list_aside() {
    for mine in $(find "$aside/$run" -type f 2>/dev/null | head -n 40); do
        problem "${mine#"$aside/$run"} may not have been as the run left it: what it was is in $mine"
    done
}

# Over what `arm` has put there, so that it takes no room.
record() {
    told "$1" | padded 1<>"$base/spare"
    sync "$base/spare" && mv -fT "$base/spare" "$base/rolled-back" && sync "$base"
}

# Mounted for writing if it was not. A file system that has seen an error stays read-only.
writable() { [ -w "$1" ] || { mount -o remount,rw "$(findmnt -fnro TARGET -T "$1")" && [ -w "$1" ]; } 2>/dev/null; }

# Ended by the shutdown itself, where that works.
restart() {
    systemctl -i reboot 9>&-
    sleep 300
    systemctl --force reboot
    sleep 60
    sync & # it hangs with any file system, a remote one too
    sleep 30
    echo b >/proc/sysrq-trigger
}

op=$1
shift
"$op" "$@"
