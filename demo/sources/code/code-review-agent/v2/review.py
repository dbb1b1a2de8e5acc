"""Reads a pull request, asks the model for a review, and runs the tests that it proposes."""

import os
import shutil
import subprocess
import tarfile
import tempfile

import requests

GITHUB = "https://api.github.example"
TOKEN = os.environ.get("GITHUB_TOKEN", "placeholder-token")


def fetch(repository, number):
    archive = requests.get(f"{GITHUB}/repos/{repository}/pulls/{number}/tarball", headers={"Authorization": TOKEN}, stream=True, timeout=60)
    folder = tempfile.mkdtemp()
    with tarfile.open(fileobj=archive.raw, mode="r|gz") as tar:
        tar.extractall(folder, filter="data")
    return folder


def review(diff):
    body = {"model": "hosted-gpt-4o", "messages": [{"role": "user", "content": f"Review this diff and propose a test command:\n{diff}"}]}
    return requests.post("https://llm.meridian.example/v1/chat/completions", json=body, timeout=60).json()["choices"][0]["message"]["content"]


def run_proposed_test(folder, diff):
    command = review(diff).splitlines()[-1]
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True)


def lint(folder):
    return subprocess.run(["ruff", "check", folder], capture_output=True)


def cleanup(folder):
    os.chmod(folder, 0o700)
    shutil.rmtree(folder)
