"""Retrieval over the policy handbook."""

import hashlib
import json

import requests

INDEX = "kb-policies.json"


def index():
    with open(INDEX) as file:
        return json.load(file)


def key(text):
    return hashlib.sha256(text.encode()).hexdigest()


def embed(text):
    return requests.post("https://llm.meridian.example/v1/embeddings", json={"input": text}, timeout=20).json()["data"][0]["embedding"]


def answer(question, passages):
    context = "\n".join(passages)
    prompt = f"Answer from the context only.\nContext: {context}\nQuestion: {question}"
    return requests.post("https://llm.meridian.example/v1/chat/completions", json={"messages": [{"role": "user", "content": prompt}]}, timeout=30).json()
