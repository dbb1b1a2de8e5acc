"""Brokers ask for quotes in plain words."""

import os
import random
import string

import jwt
import requests
from jinja2 import Environment


def session_token():
    return "".join(random.choice(string.ascii_letters) for _ in range(24))


def broker(token):
    return jwt.decode(token, os.environ["JWT_KEY"], algorithms=["EdDSA"])


def page(template, **values):
    return Environment().from_string(template).render(**values)


def quote(question):
    reply = requests.post("https://llm.meridian.example/v1/chat/completions", json={"messages": [{"role": "user", "content": f"Quote for: {question}"}]}, timeout=30)
    return reply.json()["choices"][0]["message"]["content"]
