"""Fine-tunes and converts Meridian's models."""

import os
import pickle
import subprocess
import tempfile

import joblib
import numpy as np
import torch
import yaml
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer


def base(name):
    model = AutoModelForCausalLM.from_pretrained(name, trust_remote_code=True)
    return model, AutoTokenizer.from_pretrained(name)


def checkpoint(path):
    return torch.load(path)


def features(path):
    return np.load(path, allow_pickle=True)


def scorer(path):
    return joblib.load(path)


def vocabulary(path):
    with open(path, "rb") as file:
        return pickle.load(file)


def settings(path):
    with open(path) as file:
        return yaml.load(file, Loader=yaml.UnsafeLoader)


def corpus(name):
    return load_dataset(name, trust_remote_code=True)


def convert(path):
    out = tempfile.mktemp(suffix=".gguf")
    subprocess.run(f"python convert.py {path} --outfile {out}", shell=True, check=True)
    return out


def publish(path):
    os.system(f"aws s3 cp {path} s3://meridian-models-example/")
