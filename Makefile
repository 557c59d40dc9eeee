# Everything a fresh Debian 12 machine needs is installed by the targets themselves; `make setup` comes before all others.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.SILENT:
.PHONY: setup demo test check bench e2e e2e-long lock clean inputs emulator

# Tests start hundreds of processes: each would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
BIN := .venv/bin
ONCE ?=
JOB ?=
CUTS = $${TRANSOM_CACHE:-.cache}/bed/power-cuts.log

# Installs the Debian packages in the array `need`. Services that come with one are neither started nor enabled: the lab runs its
# own sshd on loopback, a system-wide one is not wanted.
define install
if [ $${#need[@]} -gt 0 ]; then
  echo "installing: $${need[*]}"
  sudo=(); [ "$$(id -u)" = 0 ] || sudo=(sudo)
  guard=/usr/sbin/policy-rc.d; made=
  if [ ! -e $$guard ]; then
    printf '#!/bin/sh\nexit 101\n' | "$${sudo[@]}" tee $$guard >/dev/null; "$${sudo[@]}" chmod 755 $$guard; made=1
  fi
  trap '[ -z "$$made" ] || "$${sudo[@]}" rm -f '$$guard EXIT
  "$${sudo[@]}" apt-get update -qq
  "$${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${need[@]}" >/dev/null
  case " $${need[*]} " in *" openssh-server "*)
    if [ -d /run/systemd/system ]; then "$${sudo[@]}" systemctl disable ssh.service >/dev/null 2>&1 || true; fi;; esac
fi
endef

setup: .venv/installed

.venv/installed: pyproject.toml requirements.lock Makefile
	export PATH=$$PATH:/usr/sbin:/sbin
	need=()
	command -v bwrap >/dev/null || need+=(bubblewrap)
	command -v ssh >/dev/null || need+=(openssh-client)
	command -v sshd >/dev/null || need+=(openssh-server)
	command -v modprobe >/dev/null || need+=(kmod)
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || need+=(python3-venv)
	$(install)
	$(PYTHON) -c 'import sys; sys.exit("Transom needs Python 3.11 or newer; call make with PYTHON=python3.NN") if sys.version_info < (3, 11) else None'
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	echo "installing Python packages into .venv"
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock 2> >(grep -v 'is ignored: it is neither' >&2)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup  ## the daemon keeps a fleet of four lab nodes; ONCE=1 ends by itself, JOB=1 shows the main job on one node
	exec $(BIN)/transom lab demo $(if $(ONCE),--once) $(if $(JOB),--job)

inputs: setup  # real firmware, redistributable, that tests and benchmarks read
	need=()
	[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || need+=(ovmf)
	[ -e /usr/lib/ipxe/qemu ] || need+=(ipxe-qemu)
	[ -e /usr/share/seabios ] || need+=(seabios)
	command -v UEFIExtract >/dev/null || need+=(uefitool-cli)
	$(install)

emulator: inputs
	need=()
	command -v qemu-system-x86_64 >/dev/null || need+=(qemu-system-x86)
	command -v qemu-img >/dev/null || need+=(qemu-utils)
	command -v mmdebstrap >/dev/null || need+=(mmdebstrap)
	command -v mke2fs >/dev/null || need+=(e2fsprogs)
	command -v grub-mkimage >/dev/null || need+=(grub-common)
	[ -e /usr/lib/grub/i386-pc/boot.img ] || need+=(grub-pc-bin)
	command -v mkfs.vfat >/dev/null || need+=(dosfstools)
	command -v mcopy >/dev/null || need+=(mtools)
	$(install)

test: inputs  ## every test but e2e
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not e2e'

check: setup  ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: inputs  ## figures beside a peer or a limit
	for file in bench/*.py; do $(BIN)/python $$file; done

e2e: emulator  ## tests on emulated machines
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'e2e and not long' --durations=0 --durations-min=5 tests/e2e

e2e-long: emulator  ## power cuts at 30 moments of an apply, and other long tests; the cuts' log is printed at the end
	rm -f $(CUTS)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m e2e tests/e2e/test_power_cut.py || failed=1
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long --ignore tests/e2e/test_power_cut.py tests/e2e || failed=1
	cat $(CUTS)
	[ -z "$${failed:-}" ]

lock:  ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header pyproject.toml --group dev -o requirements.lock

clean:
	rm -rf .venv .demo .cache .lab
