#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the HDF5 files beside it: make.py FOLDER (needs h5py).

mod-hdf5 reads kinds.h5, in every kind of number, and must refuse all others; test_hdf5.c lists the sentence that each gets. The
committed files were made with h5py 3.16.
"""
import os
import sys

import h5py
import numpy as np

ONES = np.ones((2, 3), "f4")


def kinds(f):
    values = np.array([0, 1, -2.5], "f4")
    for kind in ("<f2", "<f4", "<f8", ">f4", ">f8", "|i1", "|u1", "<i2", ">i4", "<i8"):
        f["numbers/" + {"<": "little", ">": "big", "|": "byte"}[kind[0]] + "_" + kind[1:]] = values.astype(kind)
    bfloat = f.create_dataset("numbers/bfloat16", data=(values.view("u4") >> 16).astype("<u2").view("V2"))
    bfloat.attrs["dtype"] = "bfloat16"
    f.create_dataset("packed", data=np.arange(64, dtype="f4").reshape(8, 8), chunks=(3, 5), compression="gzip", shuffle=True,
                     fletcher32=True)
    f["scalar"] = np.float32(7)
    f["nothing"] = np.zeros((0, 3), "f4")
    f.create_group("layers/a/vars").attrs["name"] = "dense_4"


def external_link(f):
    f["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "/secret")


def soft_link(f):
    f["layers/a"] = ONES
    f["layers/b"] = h5py.SoftLink("/layers/a")


def external_storage(f):
    f.create_dataset("layers/a", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def virtual(f):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "secret", shape=(4,))
    f.create_virtual_dataset("layers/a", layout)


def references(f):
    f["layers/a"] = ONES
    f.create_dataset("layers/b", (1,), dtype=h5py.ref_dtype)[0] = f["layers/a"].ref


def region_references(f):
    f["layers/a"] = ONES
    f.create_dataset("layers/b", (1,), dtype=h5py.regionref_dtype)[0] = f["layers/a"].regionref[0:1]


def text(f):
    f.create_dataset("layers/a", data=["liver", "heart"], dtype=h5py.string_dtype())


def structure(f):
    f.create_dataset("layers/a", data=np.zeros(2, [("x", "f4"), ("y", "i4")]))


def named_type(f):
    f["layers/a"] = np.dtype("f4")


def deep(f):
    f["/".join(["g"] * 40) + "/a"] = ONES


def circle(f):
    f["layers/a"] = ONES
    f["layers/again"] = f["layers"]


def nine_dimensions(f):
    f["layers/a"] = np.ones((1,) * 9, "f4")


def claims_much(f):
    f.create_dataset("layers/a", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def claims_unwritten(f):
    f.create_dataset("layers/a", (1 << 30,), "f4")


def bomb(f):
    f.create_dataset("layers/a", data=np.zeros(1 << 25, "f4"), chunks=(1 << 25,), compression="gzip", compression_opts=9)


def damaged_chunk(f):
    a = f.create_dataset("layers/a", (1 << 10,), "f4", chunks=(1 << 10,), compression="gzip")
    a.id.write_direct_chunk((0,), b"\x78\x9c" + b"\x00" * 98)


def other_filter(f):
    f.create_dataset("layers/a", data=np.arange(4096, dtype="f4"), chunks=(4096,), compression="lzf")


def nameless(f):
    f["layers/" + "n" * 600] = ONES


def newline_name(f):
    f["layers/a\nb"] = ONES


def older_keras(f):
    f.attrs["layer_names"] = ["dense"]
    f["dense/dense/kernel:0"] = ONES


def older_model(f):
    f["model_weights/dense/kernel:0"] = ONES


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for make in (kinds, external_link, soft_link, external_storage, virtual, references, region_references, text, structure, named_type,
                 deep, circle, nine_dimensions, claims_much, claims_unwritten, bomb, damaged_chunk, other_filter, nameless, newline_name,
                 older_keras, older_model):
        with h5py.File(os.path.join(folder, make.__name__ + ".h5"), "w") as f:
            make(f)


main(sys.argv[1])
