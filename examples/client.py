"""Continues a MIDI file on a running `partimento studio`, and prints the notes as they come (docs/studio.md).

python examples/client.py examples/nocturne.mid out.mid
"""

import json
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from websockets.sync.client import connect


def main(given: str, out: str, server: str = "127.0.0.1:7860") -> None:
    """Upload, continue for 20 s, hear of every note, write what is new."""
    uploaded = json.load(urlopen(f"http://{server}/performances", Path(given).read_bytes()))
    with connect(f"ws://{server}/socket", max_size=None) as socket:
        prompt = {"performance": uploaded["performance"], "end": 15.0}
        settings = {"seconds": 20.0, "seed": 7}
        socket.send(json.dumps({"type": "continue", "id": "one", "prompt": prompt, "settings": settings}))
        for message in map(json.loads, socket):
            if message["type"] == "notes":
                print(f"until {message['until']:.1f} s: pitches {message['notes']['pitch']}")
            elif message["type"] == "take":
                request = Request(f"http://{server}/export?format=mid", json.dumps(message["music"]).encode())
                Path(out).write_bytes(urlopen(request).read())
            elif message["type"] in ("done", "error"):
                print(message.get("message", f"{out}: the new notes"))
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
