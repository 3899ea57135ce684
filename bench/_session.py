"""A visitor without a browser: speaks Streamlit's websocket, so that only the server is measured."""

import time
from collections.abc import Iterator
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect


class Session:
    """One browser session on a running server: open a page, move a widget, wait for the script's end."""

    def __init__(self, port: int, page: str = "", query: str = "") -> None:
        self.socket = connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None, subprotocols=["streamlit"])
        self.page, self.query = page, query
        self.values: dict[str, Any] = {}  # widget id → value
        self.widgets: dict[str, str] = {}  # user key → widget id
        self.fragments: dict[str, str] = {}  # widget id → fragment id
        self.hash = ""
        self.bytes = 0
        self.said = ""  # headings and text of the last script run
        self.timed, self.interval = "", 0.0  # the fragment that runs again by itself, and how often, in seconds

    def open(self) -> float:
        """Run the page from nothing; seconds until its script has finished."""
        return self._rerun(page_name=self.page)

    def move(self, key: str, value: Any) -> float:
        """Set the widget with this key as the browser would; seconds until the (fragment's) script has finished."""
        widget = self.widgets[key]
        self.values[widget] = value
        took = self._rerun(fragment=self.fragments.get(widget, ""))
        if value is True:  # a button is pressed once
            del self.values[widget]
        return took

    def again(self) -> float:
        """Run the whole page once more; seconds."""
        return self._rerun()

    def tick(self) -> float:
        """Run the fragment that runs again by itself, as the browser's timer would; seconds."""
        return self._rerun(fragment=self.timed)

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def _rerun(self, page_name: str = "", fragment: str = "") -> float:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash, state.page_name, state.fragment_id = self.query, self.hash, page_name, fragment
        for widget, value in self.values.items():
            entry = state.widget_states.widgets.add(id=widget)
            if value is True:
                entry.trigger_value = True
            elif isinstance(value, str):
                entry.string_value = value
            else:
                entry.double_array_value.data.append(value)
        self.said = ""
        start = time.perf_counter()
        self.socket.send(message.SerializeToString())
        for answer in self._answers():
            if answer.WhichOneof("type") == "script_finished":
                return time.perf_counter() - start
        raise ConnectionError("the server closed the session")

    def _answers(self) -> Iterator[ForwardMsg]:
        while True:
            data = self.socket.recv(timeout=60)
            self.bytes += len(data)
            answer = ForwardMsg()
            answer.ParseFromString(data)
            kind = answer.WhichOneof("type")
            if kind == "navigation":  # which page the frame chose; without its hash the next run would show home
                self.hash = answer.navigation.page_script_hash
            elif kind == "auto_rerun":
                self.timed, self.interval = answer.auto_rerun.fragment_id, answer.auto_rerun.interval
            elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                element = answer.delta.new_element
                inner = getattr(element, element.WhichOneof("type"))
                self.said += f"{getattr(inner, 'body', '') or getattr(inner, 'text', '')}\n"
                identity = getattr(inner, "id", "")
                if isinstance(identity, str) and identity.startswith("$$ID"):
                    self.widgets[identity.split("-", 2)[2]] = identity
                    if answer.delta.fragment_id:
                        self.fragments[identity] = answer.delta.fragment_id
            yield answer
