"""Answers employees' questions on leave and payroll."""

import logging
import sqlite3

import requests

log = logging.getLogger(__name__)


def leave(connection: sqlite3.Connection, employee):
    return connection.execute("SELECT days FROM leave WHERE employee = ?", (employee,)).fetchone()


def answer(employee, question):
    prompt = f"Employee {employee} asks: {question}"
    log.info("prompt: %s", prompt)
    return requests.post("https://llm.meridian.example/v1/chat/completions", json={"messages": [{"role": "user", "content": prompt}]}, timeout=30).json()
