"""Takes scanned post apart and files it."""

import ftplib
import marshal
import zipfile
from xml.sax import parseString

import requests


def unpack(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)


def fetch(day):
    server = ftplib.FTP("scans.internal.example")
    server.login("intake", "intake-demo")
    return server.nlst(day)


def cached_layout(data):
    return marshal.loads(data)


def meta(xml, handler):
    parseString(xml, handler)


def classify(text):
    reply = requests.post("http://invoice-ocr.internal.example/classify", json={"text": text}, verify=False)
    return reply.json()["label"]
