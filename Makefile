# Everything a fresh Debian 12 machine needs is installed by `make setup`; every other target calls it first.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: setup demo test check bench e2e lock clean

PYTHON ?= python3
BIN := .venv/bin
ONCE ?=

.SILENT:

setup: .venv/installed

.venv/installed: pyproject.toml requirements.lock Makefile
	need=()
	command -v bwrap >/dev/null || need+=(bubblewrap)
	command -v ssh >/dev/null || need+=(openssh-client)
	[ -x /usr/sbin/sshd ] || need+=(openssh-server)
	[ -n "$$(PATH=$$PATH:/usr/sbin:/sbin command -v modprobe)" ] || need+=(kmod)
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || need+=(python3-venv)
	if [ $${#need[@]} -gt 0 ]; then
	  echo "installing: $${need[*]}"
	  sudo=(); [ "$$(id -u)" = 0 ] || sudo=(sudo)
	  # The lab runs its own sshd on loopback; a system-wide one is not wanted, so it is neither started nor enabled.
	  guard=/usr/sbin/policy-rc.d
	  if [ ! -e $$guard ]; then printf '#!/bin/sh\nexit 101\n' | "$${sudo[@]}" tee $$guard >/dev/null; "$${sudo[@]}" chmod 755 $$guard; made=1; else made=; fi
	  trap '[ -z "$$made" ] || "$${sudo[@]}" rm -f '$$guard EXIT
	  "$${sudo[@]}" apt-get update -qq
	  "$${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${need[@]}" >/dev/null
	  case " $${need[*]} " in *" openssh-server "*)
	    if [ -d /run/systemd/system ]; then "$${sudo[@]}" systemctl disable ssh.service >/dev/null 2>&1 || true; fi;; esac
	fi
	$(PYTHON) -c 'import sys; sys.exit("Transom needs Python 3.11 or newer; call make with PYTHON=python3.NN") if sys.version_info < (3, 11) else None'
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock 2> >(grep -v 'is ignored: it is neither' >&2)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup  ## the main job on the lab; ONCE=1 ends by itself
	$(BIN)/transom lab demo $(if $(ONCE),--once)

test: setup  ## every test but e2e
	$(BIN)/python -m pytest -n 2 -m 'not e2e'

check: setup  ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## figures beside a peer or a limit, in CPU time
	for file in bench/bench_*.py; do $(BIN)/python $$file; done

e2e: setup  ## tests on emulated machines
	$(BIN)/python -m pytest -m e2e

lock:  ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header pyproject.toml --group dev -o requirements.lock

clean:
	rm -rf .venv .demo .cache
