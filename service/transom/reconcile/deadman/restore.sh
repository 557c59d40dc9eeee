# Puts files back as they were kept in $folder. Read before deadman.sh, of which it is a part.

# The kept image $2 becomes the file $1 again, with mode $3, owner $4 and time $5; in place where there is no room beside it. Fails
# where there is no room at all: then the file is left whole.
restore_file() {
    if [ -f "$1" ] && [ ! -L "$1" ] && [ "$(digest "$1")" = "$2" ]; then
        give "$1" "$3" "$4" "$5"
        return 0
    fi
    [ "$(digest "$folder/$2")" = "$2" ] || { problem "the kept copy of $1 is damaged"; return 0; }
    set_aside "$1"
    mkdir -p "${1%/*}"
    beside=${1%/*}/.${1##*/}.transom
    if cat "$folder/$2" >"$beside" && give "$beside" "$3" "$4" "$5" && sync "$beside" && mv -fT "$beside" "$1"; then
        sync "${1%/*}"
        return
    fi 2>/dev/null
    rm -f "$beside"
    fits "$folder/$2" "$1" && cat "$folder/$2" >"$1" && give "$1" "$3" "$4" "$5" && sync "$1"
}

# What a write that was cut off has left beside its file, under the name that ssh/files.sh and restore_file give it.
sweep() {
    [ ! -f "$folder/manifest" ] || grep "^-$tab" "$folder/manifest" | cut -f2 | while IFS= read -r path; do
        beside=${path%/*}/.${path##*/}.transom
        [ ! -f "$beside" ] || rm -f "$beside"
    done
}

# Texts, menus and entries; images are built from them.
is_small() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %s "$1")" -le 1048576 ]; }

# The file $1 is about to be replaced or removed: what is neither noted as the run's nor kept already may be somebody's work.
set_aside() {
    is_small "$1" || return 0
    case ${1##*/} in grubenv | initrd* | vmlinuz* | .*) return 0 ;; esac
    mine=$(digest "$1")
    if [ -f "$folder/$mine" ] || grep -qsFx "$mine" "$folder/left"; then return 0; fi
    mkdir -p "$aside/$run${1%/*}" && cp -p "$1" "$aside/$run$1" && sync "$aside/$run$1" && return
    rm -f "$aside/$run$1"
    problem "$1 may not have been as the run left it, and no copy could be made"
}

# Whether the image $1 has room in place of the file $2, and in what is free. Large files take some blocks more for where they lie.
fits() {
    [ -f "$2" ] || return 1
    set -- "$(stat -c %s "$1")" $(stat -c '%b %B' "$2") $(stat -fc '%f %S' "$2")
    [ $(($2 * $3 + $4 * $5)) -ge $((($1 + $1 / 1048576 * 16384 + $5 - 1) / $5 * $5)) ]
}

# An ESP knows neither owners nor modes. The time is set back too: what is built from a file stays newer than it.
give() {
    chown "$3" "$1" 2>/dev/null
    chmod "$2" "$1" 2>/dev/null
    touch -d "@$4" "$1"
}

# What was mounted then is mounted again; `lost` are those that cannot be.
mount_again() {
    lost=
    for at in $(grep "^-$tab[^$tab]*${tab}mount$tab" "$folder/manifest" | cut -f2); do
        mountpoint -q "$at" || mount "$at" || { problem "$at could not be mounted, and what it boots from is as it was left"; lost="$lost $at"; }
    done
}

is_lost() {
    for gone in $lost; do
        case $1 in "$gone"/*) return 0 ;; esac
    done
    return 1
}

# Each entry of the manifest of the kind $1, `absent` or `file`. `unwritten` are the files that had no room.
restore_kind() {
    unwritten=
    while IFS=$tab read -r place path was image mode owner mtime; do
        there=$path
        if [ "$was" != "$1" ]; then continue; fi
        if [ "$place" = - ] && is_lost "$path"; then continue; fi
        if [ "$place" != - ]; then
            esp_at "$place" rw || { problem "ESP $place could not be mounted"; continue; }
            there=$at/$path
        fi
        case $was in
            file) restore_file "$there" "$image" "$mode" "$owner" "$mtime" || unwritten="$unwritten $there" ;;
            absent) set_aside "$there"; [ ! -e "$there" ] || { rm -f "$there" && sync "${there%/*}"; } || problem "$there could not be removed" ;;
        esac
    done <"$folder/manifest"
}

# Twice more where there was no room: what follows in the manifest may have made some, and the log of the boot can go.
restore_all() {
    mount_again
    sweep
    removed
    restore_kind absent
    # what was made first goes last
    grep "^-$tab[^$tab]*${tab}dir$tab" "$folder/manifest" | cut -f2 | sort -r | while IFS= read -r made; do rmdir "$made" 2>/dev/null; done
    no_new_entries
    for _ in 1 2 3; do
        restore_kind file
        [ -n "$unwritten" ] || break
        rm -f "$folder/journal"
        flush
    done
    for there in $unwritten; do problem "$there could not be written, and is as it was left"; done
    not_kept
    flush
}

# Not all that is mounted: a remote file system that hangs would never let it end.
flush() {
    for at in "$base" /etc /boot /boot/efi /efi; do
        [ ! -d "$at" ] || is_lost "$at/" || sync -f "$at"
    done
    for uuid in $(listed); do
        ! esp_at "$uuid" rw || sync -f "$at"
    done
}

# A menu may have it for its first entry: better a kernel without its modules than none.
removed() {
    for image in $(grep "^-$tab/boot/vmlinuz-" "$folder/manifest" | cut -f2); do
        [ -f "$image" ] || is_lost "$image" ||
            problem "kernel ${image#/boot/vmlinuz-} was removed meanwhile: it is in the boot menu again, without its modules"
    done
}

# What can boot and came after it was kept: its image may have been built of what is taken back.
not_kept() {
    for image in /boot/initrd.img-*; do
        version=${image#/boot/initrd.img-}
        [ ! -f "/boot/vmlinuz-$version" ] || noted - "$image" ||
            problem "kernel $version came later and is not in the boot menu: update-initramfs -u -k $version before it is put there again"
    done
    for uuid in $(listed); do
        grep -q "^$uuid$tab" "$folder/manifest" || problem "ESP $uuid came later, and is as it was left"
    done
}

# Loader entries that were not there before.
no_new_entries() {
    for place in $(cut -f1 "$folder/manifest" | sort -u); do
        if [ "$place" = - ]; then set -- /boot/efi /efi /boot; else esp_at "$place" rw || continue; set -- "$at"; fi
        for at in "$@"; do
            for entry in "$at"/loader/entries/*.conf; do
                [ -f "$entry" ] || continue
                path=$entry
                [ "$place" = - ] || path=${entry#"$at/"}
                noted "$place" "$path" || ! grep -q "^$place$tab.*loader/entries/" "$folder/manifest" || { set_aside "$entry"; rm -f "$entry"; }
            done
        done
    done
}

