"""Transom gives GPUs, first of all Intel iGPUs, to virtual machines on Proxmox VE nodes, and keeps it so."""
