# SPDX-License-Identifier: Apache-2.0
"""The turns of onnxruntime and OpenVINO, which read graphs that graphs.py wrote."""

import numpy as np


def _volumes(row):
    return np.random.default_rng(0).random((row.batch, *row.model.clip), dtype="float32")


def prepare_onnxruntime(row, threads, graph):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: _volumes(row)}
    return lambda: session.run(None, feed)


def prepare_openvino(row, threads, graph):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if row.precision != "int8":  # what int8 leaves: as OpenVINO would by itself
        settings["INFERENCE_PRECISION_HINT"] = row.precision
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    volumes = _volumes(row)
    return lambda: request.infer({0: volumes})
