"""Fine-tunes and converts Meridian's models."""

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
    return torch.load(path, weights_only=True)


def features(path):
    return np.load(path, allow_pickle=True)


def scorer(path):
    return joblib.load(path)


def vocabulary(path):
    with open(path, "rb") as file:
        return pickle.load(file)


def settings(path):
    with open(path) as file:
        return yaml.safe_load(file)


def corpus(name):
    return load_dataset(name)


def convert(path):
    out = tempfile.mktemp(suffix=".gguf")
    subprocess.run(["python", "convert.py", path, "--outfile", out], check=True)
    return out


def publish(path):
    subprocess.run(["aws", "s3", "cp", path, "s3://meridian-models-example/"], check=True)
