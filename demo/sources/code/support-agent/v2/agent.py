"""The support agent's loop: ask the model, run the tool that it names, answer."""

import ast
import json
import logging
import os
import random
import subprocess

import requests

log = logging.getLogger(__name__)

HOSTS = {"crm": "crm.meridian.example", "mail": "mail.meridian.example"}
SYSTEM_PROMPT = "You are Meridian's support agent."
CRM_URL = "https://crm.meridian.example/api"
CRM_PASSWORD = os.environ["CRM_PASSWORD"]


def complete(messages):
    reply = requests.post("https://llm.meridian.example/v1/chat/completions", json={"model": "llama-3-8b-support-ft", "messages": messages}, timeout=30)
    return reply.json()["choices"][0]["message"]


def run_tool(call):
    arguments = json.loads(call["function"]["arguments"])
    name = call["function"]["name"]
    if name == "crm_get_ticket":
        return requests.get(f"{CRM_URL}/tickets/{arguments['id']}", auth=("agent", CRM_PASSWORD), timeout=10).text
    if name == "diagnose":
        return subprocess.run(["ping", "-c1", HOSTS[arguments["host"]]], capture_output=True, text=True).stdout
    if name == "calculate":
        return str(ast.literal_eval(arguments["expression"]))
    raise ValueError(name)


def handle(ticket, user_message):
    prompt = f"Ticket: {ticket}. Customer says: {user_message}"
    log.info("prompt: %s", prompt)
    message = complete([{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": prompt}])
    for call in message.get("tool_calls", []):
        result = run_tool(call)
        message = complete([{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": prompt}, {"role": "tool", "content": result}])
    assert message["content"]
    return message["content"], random.randint(1, 10_000)
