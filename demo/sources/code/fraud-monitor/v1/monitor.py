"""Scores payments and asks the review agent about the doubtful ones."""

import logging

import joblib
import requests

log = logging.getLogger(__name__)
MODEL = joblib.load("fraud-scorer-xgb.pkl")


def score(payment):
    return float(MODEL.predict_proba([payment["features"]])[0][1])


def explain(payment):
    reply = requests.post("https://llm.meridian.example/v1/chat/completions", json={"messages": [{"role": "user", "content": f"Why is this odd: {payment}"}]}, timeout=30)
    return reply.json()["choices"][0]["message"]["content"]
