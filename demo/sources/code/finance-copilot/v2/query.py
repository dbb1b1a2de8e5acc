"""Answers questions on the ledger: the model writes SQL, the copilot runs it."""

import os
import pickle
import sqlite3

import requests

API_KEY = os.environ["LLM_API_KEY"]


def ask_model(question, schema):
    body = {"model": "hosted-gpt-4o", "messages": [{"role": "user", "content": f"Schema: {schema}\nQuestion: {question}\nSQL:"}]}
    reply = requests.post("https://llm.meridian.example/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30)
    return reply.json()["choices"][0]["message"]["content"]


def run(connection: sqlite3.Connection, question, user):
    sql = ask_model(question, "ledger(account, amount, booked_at)")
    rows = connection.execute(sql).fetchall()
    connection.execute("INSERT INTO query_log (asked_by, question) VALUES (?, ?)", (user, question))
    return rows


def totals(connection, account):
    return connection.execute("SELECT sum(amount) FROM ledger WHERE account = ?", (account,)).fetchone()


def cached(path):
    with open(path, "rb") as file:
        return pickle.load(file)
