# SPDX-License-Identifier: Apache-2.0
"""Writes the graph of a row for onnxruntime or OpenVINO. usage: graphs.py PEER ROW CACHE"""

import os
import sys

import torch
from torch_model import ViViT
from work import ROWS, graph_of

CALIBRATION = 4  # samples; the weights are random, so that more would tell nothing


def onnx_f32(row, path):
    volumes = torch.rand(row.batch, *row.model.clip)
    torch.onnx.export(ViViT(row.model).eval(), (volumes,), path, dynamo=True, external_data=False)


def onnx_int8(row, path):
    from onnxruntime.quantization import quant_pre_process, quantize_dynamic

    onnx_f32(row, path + ".f32")
    quant_pre_process(path + ".f32", path + ".ready")
    quantize_dynamic(path + ".ready", path)
    for part in (".f32", ".ready"):
        os.remove(path + part)


def openvino_model(row):
    import openvino

    volumes = torch.rand(row.batch, *row.model.clip)
    return openvino.convert_model(
        ViViT(row.model).eval(), example_input=volumes, input=list(volumes.shape)
    )


def xml_f32(row, path):
    import openvino

    openvino.save_model(openvino_model(row), path, compress_to_fp16=False)


def xml_int8(row, path):
    import nncf
    import openvino

    samples = [torch.rand(row.batch, *row.model.clip).numpy() for _ in range(CALIBRATION)]
    quantised = nncf.quantize(
        openvino_model(row),
        nncf.Dataset(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=CALIBRATION,
    )
    openvino.save_model(quantised, path, compress_to_fp16=False)


WRITERS = {
    ("onnx", "f32"): onnx_f32,
    ("onnx", "int8"): onnx_int8,
    ("xml", "f32"): xml_f32,
    ("xml", "int8"): xml_int8,
}


def main():
    peer, name, cache = sys.argv[1:]
    row = ROWS[name]
    path = graph_of(peer, row, cache)
    stem, suffix = path.rsplit(".", 1)
    kind = stem.rsplit("-", 1)[1]
    torch.manual_seed(0)
    # OpenVINO writes two files; the one that is asked for is put in place last.
    draft = f"{stem}.draft.{suffix}"
    WRITERS[suffix, kind](row, draft)
    if suffix == "xml":
        os.replace(f"{stem}.draft.bin", f"{stem}.bin")
    os.replace(draft, path)


if __name__ == "__main__":
    main()
