"""Charts and spreadsheets from the copilot's answers."""

import subprocess
import xml.etree.ElementTree as ET
from random import choice

import yaml

KINDS = {"bar": "bar", "line": "line", "table": "table"}


def load_template(text):
    return yaml.safe_load(text)


def chart(kind, data):
    return {"kind": KINDS[kind], "data": data}


def export(name):
    subprocess.call(["libreoffice", "--headless", "--convert-to", "pdf", name])


def exchange_rates(xml):
    return {node.get("currency"): float(node.get("rate")) for node in ET.fromstring(xml).iter("rate")}


def color():
    return choice(["teal", "amber", "slate"])
