"""What a machine does when it boots: boot menu → command line → modules and drivers, in two stages. Pure.

First the initramfs, with the modprobe.d files *stored in the image*; then the root file system, with the present ones.
A driver that took a device in the first stage keeps it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from transom.lab import bootmenu, espmenu, initrd, kmod, modules, world

NO_IOMMU = -1


class BootFailed(Exception):
    """The machine does not come up; the text is what stands on its screen. ``restarts``: it panics and reboots."""

    def __init__(self, text: str, *, restarts: bool = False) -> None:
        super().__init__(text)
        self.restarts = restarts


@dataclasses.dataclass(frozen=True)
class Disk:
    """What boot reads from the root file system."""

    grub_cfg: str
    """With custom.cfg, which it sources."""
    images: Mapping[str, bytes]
    """Kernel and initrd files by path (``/boot/vmlinuz-…``)."""
    modprobe: tuple[str, ...] = ()
    """Texts of the modprobe.d files in kmod's order."""
    modules_load: tuple[str, ...] = ()
    """Texts of ``/etc/modules-load.d`` and its kin, in order."""
    esp: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Texts of the ESP by path; its images are among ``images``, by their path on it."""
    once: str = ""
    """The entry that GRUB's environment names for this one boot."""


@dataclasses.dataclass(frozen=True)
class Booted:
    """A machine that is up. ``drivers`` has bound devices only; ``groups`` is empty without an IOMMU."""

    kernel: str
    cmdline: str
    modules: tuple[str, ...]
    drivers: Mapping[str, str]
    groups: Mapping[str, int]
    parameters: Mapping[str, Mapping[str, str]]
    framebuffer: bool
    journal: tuple[str, ...]


def boot(machine: world.LabNode, disk: Disk) -> Booted:
    """Boots ``machine`` from ``disk``; BootFailed when a real one would not come up."""
    try:
        by_esp = machine.loader == "systemd-boot"
        entry = espmenu.default(disk.esp) if by_esp else bootmenu.default(disk.grub_cfg, disk.once)
    except bootmenu.BadMenu as error:
        raise BootFailed(f"error: {error}.\ngrub>") from error
    kernel = _kernel(entry, disk)
    image = _image(entry, disk)
    cmdline = espmenu.cmdline(entry) if by_esp else bootmenu.cmdline(entry)
    _start(cmdline)
    running = _Running(kernel, cmdline, visible(machine))
    running.initramfs(image)
    # systemd-modules-load takes names from the command line too
    asked = "\n".join(_values(cmdline, "modules_load"))
    running.root(kmod.parse(disk.modprobe, cmdline), (*disk.modules_load, asked))
    return Booted(
        kernel,
        cmdline,
        tuple(running.loaded),
        dict(running.drivers),
        iommu_groups(machine, kernel, cmdline),
        running.parameters,
        framebuffer(machine, cmdline, running.drivers),
        tuple(running.journal),
    )


def _start(cmdline: str) -> None:
    """BootFailed when there is no root file system where it is looked for, or the first process ends."""
    given = dict(word.partition("=")[::2] for word in cmdline.split())
    roots = _words(cmdline, "root")
    restarts = given.get("panic", "0").isdigit() and given.get("panic", "0") != "0"
    if roots[-1:] != roots[:1]:  # the installer's comes first, and is right
        raise BootFailed(f"ALERT!  {given['root']} does not exist.  Dropping to a shell!", restarts=restarts)
    if given.get("init") == "/bin/false":
        raise BootFailed("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100", restarts=restarts)


def _kernel(entry: bootmenu.Entry, disk: Disk) -> str:
    if entry.kernel not in disk.images:
        raise BootFailed(f"error: file `{entry.kernel}' not found.\nerror: you need to load the kernel first.")
    return entry.kernel.rpartition("/")[2].removeprefix("vmlinuz-")


def _image(entry: bootmenu.Entry, disk: Disk) -> initrd.Image:
    if entry.initrd not in disk.images:
        raise BootFailed(
            f"error: file `{entry.initrd}' not found.\n"
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
        )
    try:
        return initrd.unpack(disk.images[entry.initrd])
    except initrd.BadImage as error:
        raise BootFailed(
            f"Initramfs unpacking failed: {error}\n"
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
        ) from error


class _Running:
    """The state that grows while the machine boots."""

    def __init__(self, kernel: str, cmdline: str, devices: tuple[world.PciFunction, ...]) -> None:
        self.cmdline = cmdline
        self.devices = devices
        self.catalogue = modules.catalogue(kernel)
        self.loaded: dict[str, None] = {}
        self.parameters: dict[str, dict[str, str]] = {}
        self.drivers = {dev.address: name for dev in devices if (name := modules.builtin_driver(dev))}
        self.ids: tuple[str, ...] = ()
        self.journal = [f"kernel: Linux version {kernel}", f"kernel: Command line: {cmdline}"]
        self.config = kmod.Config()
        self.present: frozenset[str] = frozenset()

    def initramfs(self, image: initrd.Image) -> None:
        self.config = kmod.parse(image.modprobe, self.cmdline)
        self.present = image.modules & self.catalogue.keys()
        for name in image.listed:
            self.load(name)
        self.coldplug()

    def root(self, config: kmod.Config, lists: tuple[str, ...]) -> None:
        """udev first, then the listed modules: on a real machine the two race, and what relies on luck must not pass here."""
        self.config = config
        self.present = frozenset(self.catalogue)
        self.coldplug()
        for name in modules.ALWAYS:
            self.load(name)
        for name in listed(lists):
            self.modules_load(name)
        if "snd_hda_intel" in self.drivers.values():
            for name in modules.CODECS:
                if name not in config.blacklist:
                    self.load(name)

    def modules_load(self, name: str) -> None:
        """What systemd-modules-load does with one line: it honours the blacklist, and tells what it does not find."""
        if name not in self.catalogue:
            self.journal.append(f"systemd-modules-load: Failed to find module '{name}'")
            self.journal.append(
                "systemd: systemd-modules-load.service: Main process exited, code=exited, status=1/FAILURE"
            )
            self.journal.append("systemd: Failed to start Load Kernel Modules.")
        elif name in self.config.blacklist:
            self.journal.append(f"systemd-modules-load: Module '{name}' is deny-listed (by kmod)")
        else:
            self.load(name)

    def coldplug(self) -> None:
        """udev asks for a module for every device by its alias; the blacklist holds here."""
        for device in self.devices:
            configured = self.config.matches(modules.modalias(device))
            own = tuple(name for name, module in self.catalogue.items() if module.claims_device(device))
            for name in (*configured, *own):
                if name not in self.config.blacklist:
                    self.load(name)

    def load(self, name: str) -> None:
        """modprobe: softdeps, then hard dependencies, then the module itself; ``install`` lines replace it."""
        if name in self.loaded or name not in self.present:
            return
        for before in self.config.pre(name):
            self.load(before)
        if any(module == name for module, _ in self.config.installs):
            return
        for need in self.catalogue[name].needs:
            self.load(need)
        if name in self.config.forbidden:
            self.journal.append(f"kernel: Module {name} is blacklisted")
            return
        self.loaded[name] = None
        self.parameters[name] = self._parameters(name)
        self.bind(name)

    def _parameters(self, name: str) -> dict[str, str]:
        shown = dict(self.catalogue[name].parameters)
        given = kmod.options_of(self.config, name)
        boolean = {"1": "Y", "y": "Y", "Y": "Y", "": "Y", "0": "N", "n": "N", "N": "N"}
        for key in shown.keys() & given.keys():
            value = given[key]
            shown[key] = boolean.get(value, value) if shown[key] in ("Y", "N") else value
        return shown

    def bind(self, name: str) -> None:
        """A new driver takes every device that it claims and nobody has."""
        module = self.catalogue[name]
        ids = _ids(self.config.value(name, "ids") or "") if name == "vfio_pci" else ()
        if ids:
            self.journal.append(f"kernel: vfio_pci: add [{'], ['.join(ids)}]")
        for device in self.devices:
            if device.address not in self.drivers and (module.claims_device(device) or _listed(device, ids)):
                self.drivers[device.address] = module.driver or name


def listed(texts: tuple[str, ...]) -> list[str]:
    """Module names of modules-load.d texts."""
    lines = (line.strip() for text in texts for line in text.splitlines())
    return [kmod.normal(line.split()[0]) for line in lines if line and line[0] not in "#;"]


def _ids(value: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in value.split(",") if part)


def _listed(device: world.PciFunction, ids: tuple[str, ...]) -> bool:
    """``ids=`` takes ``vendor:device[:subvendor[:subdevice]]``, and every twin with them."""
    own = [device.vendor, device.device, *device.subsystem.split(":")]
    return any(own[: len(parts)] == parts for parts in (i.split(":")[:4] for i in ids) if len(parts) >= 2)


# --- hardware --------------------------------------------------------------------------------------------------------


def visible(machine: world.LabNode) -> tuple[world.PciFunction, ...]:
    """The functions that the firmware shows: with multi-monitor off, a card hides the iGPU."""
    card = any(dev.display and dev.address != world.IGPU for dev in machine.pci)
    hidden = card and not machine.firmware.multi_monitor
    return tuple(dev for dev in machine.pci if not (hidden and dev.address == world.IGPU))


def iommu_groups(machine: world.LabNode, kernel: str, cmdline: str) -> dict[str, int]:
    """Group of every device by address; empty when the IOMMU is off. From 6.8 on Proxmox' kernels turn it on by themselves."""
    words = _values(cmdline, "intel_iommu")
    # "0" is not known to the kernel; "off" wins over "on" wherever it stands only if it comes last
    asked = next((word for word in reversed(words) if word in ("on", "off")), "")
    on = asked == "on" or (not asked and modules.version(kernel) >= (6, 8))
    if not machine.firmware.vtd or not on or "off" in _values(cmdline, "iommu"):
        return {}
    split = set(_values(cmdline, "pcie_acs_override"))
    groups: dict[str, int] = {}
    keys: dict[str, int] = {}
    for device in visible(machine):
        key = _group_key(device, split)
        groups[device.address] = keys.setdefault(key, len(keys))
    return groups


def _group_key(device: world.PciFunction, split: set[str]) -> str:
    """Functions of one slot share a group (no ACS between them), and what is below a root port goes with it."""
    slot = device.address.rpartition(".")[0]
    if "multifunction" in split:
        return device.address
    if device.parent and "downstream" not in split:
        return device.parent.rpartition(".")[0]
    return slot


def _words(cmdline: str, key: str) -> list[str]:
    return [value for name, _, value in (token.partition("=") for token in cmdline.split()) if name == key]


def _values(cmdline: str, key: str) -> list[str]:
    return [part for value in _words(cmdline, key) for part in value.split(",")]


def boot_vga(machine: world.LabNode) -> str:
    """Address of the display device that the firmware uses; empty when there is none."""
    displays = [dev.address for dev in visible(machine) if dev.class_code.startswith("0300")]
    if machine.firmware.primary_igpu and world.IGPU in displays:
        return world.IGPU
    return next((address for address in displays if address != world.IGPU), next(iter(displays), ""))


def framebuffer(machine: world.LabNode, cmdline: str, drivers: Mapping[str, str]) -> bool:
    """Whether the firmware's framebuffer still holds the display's memory: sysfb took it and no real driver took over."""
    if "sysfb_init" in _values(cmdline, "initcall_blacklist"):
        return False
    return drivers.get(boot_vga(machine), "vfio-pci") == "vfio-pci"
