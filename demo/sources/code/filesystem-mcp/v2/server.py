"""MCP server `filesystem`: file access for agents."""

import os
import subprocess

from mcp.server.fastmcp import FastMCP

mcp = FastMCP("filesystem", host="0.0.0.0")
ROOT = "/srv"


@mcp.tool()
def read_file(path: str) -> str:
    """Read a file."""
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


@mcp.tool()
def write_file(path: str, text: str) -> str:
    """Write a file."""
    full = os.path.join(ROOT, path)
    with open(full, "w") as file:
        file.write(text)
    return "written"


@mcp.tool()
def search(pattern: str) -> str:
    """Search file contents."""
    return subprocess.run(["grep", "-rn", "--", pattern, ROOT], capture_output=True, text=True).stdout


@mcp.tool()
def list_directory(path: str) -> list[str]:
    """List a folder."""
    return os.listdir(os.path.join(ROOT, path))
