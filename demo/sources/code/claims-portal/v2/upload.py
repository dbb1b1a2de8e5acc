"""Customers upload photos and forms; a model extracts the claim's fields."""

import hashlib
import os
import sqlite3
import xml.dom.minidom

from flask import Flask, request

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
UPLOADS = "/tmp/uploads"


@app.post("/claims/<claim>/files")
def upload(claim):
    file = request.files["file"]
    path = os.path.join(UPLOADS, file.filename)
    file.save(path)
    return {"id": hashlib.sha256(path.encode()).hexdigest()}


@app.get("/claims")
def search():
    connection = sqlite3.connect("claims.db")
    return connection.execute("SELECT * FROM claims WHERE holder LIKE ?", (f"%{request.args['q']}%",)).fetchall()


def parse_form(xml_text):
    return xml.dom.minidom.parseString(xml_text)


def checked(fields):
    assert "policy" in fields
    assert fields["amount"] > 0
    return fields
