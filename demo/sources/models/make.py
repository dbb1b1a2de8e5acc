"""Writes small stand-ins for model files into DIR, for ModelScan: make.py DIR.

Two of them hold pickles that would call something when loaded. What they would call is harmless (`true`, an address that
does not exist), and nothing here ever loads them.
"""

import json
import os
import pickle
import struct
import sys
import webbrowser
import zipfile
from pathlib import Path

root = Path(sys.argv[1])


class Call:
    """Pickles to a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def write(path, content):
    path = root / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def torch_archive(path, content):
    path = root / path
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (("archive/data.pkl", pickle.dumps(content, 2)), ("archive/version", b"3\n")):
            archive.writestr(zipfile.ZipInfo(name), data)


def safetensors(path):
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    write(path, struct.pack("<Q", len(header)) + header + struct.pack("<f", 0.5))


weights = {"layer.0.weight": [0.1, 0.2], "layer.0.bias": [0.0]}

# The fine-tuned support model: at first clean, then with a checkpoint that calls a program.
safetensors("v1/llama-3-8b-support-ft/model.safetensors")
write("v1/llama-3-8b-support-ft/trainer_state.pkl", pickle.dumps(weights))
safetensors("v2/llama-3-8b-support-ft/model.safetensors")
write("v2/llama-3-8b-support-ft/trainer_state.pkl", pickle.dumps(weights))
torch_archive("v2/llama-3-8b-support-ft/pytorch_model.bin", {**weights, "hook": Call(os.system, "true")})

# Reads forms; a cache file opens a web page when loaded. The next version drops it.
torch_archive("v1/invoice-ocr-v2/detector.pt", weights)
write("v1/invoice-ocr-v2/layout_cache.pkl", pickle.dumps({"template": Call(webbrowser.open, "https://layout.invalid/")}))
write("v1/invoice-ocr-v2/postprocess.pkl", pickle.dumps([Call(eval, "1 + 1"), weights]))
torch_archive("v2/invoice-ocr-v2/detector.pt", weights)
write("v2/invoice-ocr-v2/layout_cache.pkl", pickle.dumps({"template": Call(webbrowser.open, "https://layout.invalid/")}))

# Clean ones.
write("v1/fraud-scorer-xgb/fraud-scorer-xgb.pkl", pickle.dumps(weights))
write("v1/claims-severity-gbm/model.pkl", pickle.dumps(weights))
torch_archive("v1/policy-reranker/reranker.pt", weights)

# What ModelScan can not read: a pickle that breaks off, and a Keras file without the package for it.
write("v1/churn-predictor/churn.pkl", pickle.dumps(weights)[:-9])
write("v1/churn-predictor/churn.h5", b"\x89HDF\r\n\x1a\n" + bytes(64))
