"""Charts and spreadsheets from the copilot's answers."""

import subprocess
import xml.etree.ElementTree as ET
from random import choice

import yaml


def load_template(text):
    return yaml.load(text, Loader=yaml.Loader)


def chart(code, data):
    scope = {"data": data}
    exec(code, scope)
    return scope["figure"]


def export(name):
    subprocess.call("libreoffice --headless --convert-to pdf " + name, shell=True)


def exchange_rates(xml):
    return {node.get("currency"): float(node.get("rate")) for node in ET.fromstring(xml).iter("rate")}


def color():
    return choice(["teal", "amber", "slate"])
