"""GUIDs that firmware is built from, by their lower-case text form. Names as in EDK2, the PI specification
and UEFITool."""

from __future__ import annotations

FFS_1 = "7a9354d9-0468-444a-81ce-0bf617d890df"
FFS_3 = "5473c07a-3dcb-4dca-bd6f-1e9689e7349a"
FILE_SYSTEMS = {
    FFS_1: "FFSv1",
    "8c8ce578-8a3d-4f1c-9935-896185c32dd3": "FFSv2",
    FFS_3: "FFSv3",
    "04adeead-61ff-4d31-b6ba-64f8bf901f5a": "FFSv2 (Apple)",
    "bd001b8c-6a71-487b-a14f-0c2a2dcf7a5d": "FFSv2 (Apple)",
    "ad3fffff-d28b-44c4-9f13-9ea98a97f9f0": "FFSv2 (Intel)",
    "d6a1cd70-4b33-4994-a6ea-375f2ccc5437": "FFSv2 (Intel)",
    "4f494156-aed6-4d64-a537-b8a5557bceec": "FFSv2 (Sony)",
}

CAPSULES = {
    "3b6686bd-0d76-4030-b70e-b5519e2fc5a0": "EFI capsule",
    "6dcbd5ed-e82d-4c44-bda1-7194199ad92a": "EFI FMP capsule",
    "539182b9-abb5-4391-b69a-e3a943f72fcc": "Intel capsule",
    "e20bafd3-9914-4f4f-9537-3129e090eb3c": "Lenovo capsule",
    "25b5fe76-8243-4a5c-a9bd-7ee3246198b5": "Lenovo capsule",
    "3be07062-1d51-45d2-832b-f093257ed461": "Toshiba capsule",
}
APTIO_CAPSULES = {
    "4a3ca68b-7723-48fb-803d-578cc1fec44d": "AMI Aptio capsule (signed; ASUS .CAP)",
    "14eebb90-890a-43db-aed1-5d3c4588a418": "AMI Aptio capsule",
}

LZMA = frozenset(
    {
        "ee4e5898-3914-4259-9d6e-dc7bd79403cf",
        "0ed85e23-f253-413f-a03c-901987b04397",  # HP
        "bd9921ea-ed91-404a-8b2f-b4d724747c8c",  # Microsoft, unpacked in parallel
    }
)
LZMA_F86 = "d42ae6bd-1352-4bfb-909a-ca72a6eae889"
BROTLI = "3d532050-5cda-4fd0-879e-0f7f630d5afb"
GZIP = "1d301fe9-be79-4353-91c2-d23bc959ae0c"
TIANO = "a31280ad-481e-41b6-95e8-127f4c984779"
CRC32 = "fc1bcdb0-7d31-49aa-936a-a4600d9dd083"

AMI_GOP = "380b6b4f-1454-41f2-a6d3-61d1333e8cb4"
AMI_VBIOS = "c5a4306e-e247-4ecd-a9d8-5b1985d3dcda"
AMI_CSM_FILE = "a0327fe0-1fda-4e5b-905d-b510c45a61d0"
PLATFORM_GOP_POLICY = "ec2e931b-3281-48a5-8107-df8a8bed3c5d"

NAMES = {
    AMI_GOP: "AMI: Intel GOP driver",
    AMI_VBIOS: "AMI: Intel legacy vBIOS",
    AMI_CSM_FILE: "AMI: CSM option ROMs",
    "5bba83e6-f027-4ca7-bfd0-16358cc9e123": "IntelGopDriver (Ivy Bridge)",
    "8d59ebc8-b85e-400e-970a-1f995d1db91e": "IntelGopDriver (Sandy Bridge)",
    "f706d0c8-f6fc-4f7a-ac98-96ba5cc43aaa": "IntelGopDriver (Sandy Bridge)",
    "7755ca7b-ca8f-43c5-889b-e1f59a93d575": "IntelGopDriver",
    "ff0c8745-3270-4439-b74f-3e45f8c77064": "IntelGopDriver",
    "f82e0bf0-95f7-41db-9299-2d054546b3d0": "IntelGopDriver (Rocket Lake)",
    "1ba0062e-c779-4582-8566-336ae8f78f09": "volume top file",
    "fff12b8d-7696-4c8b-a985-2747075b4f50": "NVRAM",
    LZMA_F86: "LZMA with x86 filter",
    BROTLI: "Brotli",
    GZIP: "GZip",
    TIANO: "Tiano",
    CRC32: "CRC32",
} | dict.fromkeys(LZMA, "LZMA")


def text(raw_guid: bytes) -> str:
    """The text form of 16 bytes as they stand in firmware (first three fields little-endian)."""
    first, second, third = (raw_guid[a:b][::-1].hex() for a, b in ((0, 4), (4, 6), (6, 8)))
    return f"{first}-{second}-{third}-{raw_guid[8:10].hex()}-{raw_guid[10:].hex()}"


def raw(guid: str) -> bytes:
    """The 16 bytes of a text form."""
    plain = bytes.fromhex(guid.replace("-", ""))
    return plain[3::-1] + plain[5:3:-1] + plain[7:5:-1] + plain[8:]
