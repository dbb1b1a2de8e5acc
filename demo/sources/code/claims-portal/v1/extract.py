"""Asks the extraction model for the fields of a claim."""

import requests


def extract(text):
    prompt = f"Extract policy, date and amount as JSON from: {text}"
    reply = requests.post("http://invoice-ocr.internal.example/v2/extract", json={"prompt": prompt})
    try:
        return reply.json()
    except ValueError:
        pass
    return {}
