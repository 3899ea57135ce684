"""A visitor without a browser: speaks Streamlit's websocket, so that only the server is
measured.
"""

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect


class Session:
    """One browser session on a running server: open a page, move a widget, wait for the
    script's end.
    """

    def __init__(self, port: int, page: str = "", query: str = "") -> None:
        self.socket = connect(
            f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None, subprotocols=["streamlit"]
        )
        self.page, self.query = page, query
        self.values: dict[str, Any] = {}  # widget id → value
        self.widgets: dict[str, str] = {}  # user key → widget id
        self.fragments: dict[str, str] = {}  # widget id → fragment id
        self.hash = ""
        self.bytes = 0
        self.text = ""  # headings and text of the last script run
        self.port, self.identity = port, ""
        self.images: list[float] = []  # seconds until each image of the last script run
        # the fragment that runs again by itself, and how often, in seconds
        self.timed, self.interval = "", 0.0

    def open(self) -> float:
        """Run the page from nothing; seconds until its script has finished."""
        return self._rerun(page_name=self.page)

    def move(self, key: str, value: Any) -> float:
        """Set the widget with this key as the browser would; seconds until the
        (fragment's) script has finished.
        """
        widget = self.widgets[key]
        self.values[widget] = value
        took = self._rerun(fragment=self.fragments.get(widget, ""))
        if value is True:  # a button is pressed once
            del self.values[widget]
        return took

    def upload(self, key: str, name: str, content: bytes) -> tuple[list[float], float]:
        """Give a file to the uploader with this key as the browser would; seconds until
        each image is shown, in their order, and until the script's end.

        Sending the bytes counts too. The server must run without its protection against
        forged requests.
        """
        start = time.perf_counter()
        message = BackMsg()
        message.file_urls_request.request_id, message.file_urls_request.session_id = name, self.identity
        message.file_urls_request.file_names.append(name)
        self.socket.send(message.SerializeToString())
        urls = next(
            answer for answer in self._answers() if answer.WhichOneof("type") == "file_urls_response"
        ).file_urls_response.file_urls[0]
        urllib.request.urlopen(
            urllib.request.Request(
                f"http://127.0.0.1:{self.port}{urls.upload_url}", *_form(name, content), method="PUT"
            )
        )
        state = FileUploaderState()
        state.uploaded_file_info.add(file_id=urls.file_id, name=name, size=len(content), file_urls=urls)
        self.values[self.widgets[key]] = state
        sent = time.perf_counter() - start
        took = self._rerun()
        return [sent + shown for shown in self.images], sent + took

    def again(self) -> float:
        """Run the whole page once more; seconds."""
        return self._rerun()

    def tick(self) -> float:
        """Run the fragment that runs again by itself, as the browser's timer would;
        seconds.
        """
        return self._rerun(fragment=self.timed)

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def _rerun(self, page_name: str = "", fragment: str = "") -> float:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash, state.page_name, state.fragment_id = (
            self.query,
            self.hash,
            page_name,
            fragment,
        )
        for widget, value in self.values.items():
            entry = state.widget_states.widgets.add(id=widget)
            if value is True:
                entry.trigger_value = True
            elif isinstance(value, str):
                entry.string_value = value
            elif isinstance(value, dict):  # the state of a component
                entry.json_value = json.dumps(value)
            elif isinstance(value, FileUploaderState):
                entry.file_uploader_state_value.CopyFrom(value)
            else:
                entry.double_array_value.data.append(value)
        self.text, self.images = "", []
        start = time.perf_counter()
        self.socket.send(message.SerializeToString())
        for answer in self._answers():
            if answer.WhichOneof("type") == "delta" and answer.delta.new_element.HasField("imgs"):
                self.images.append(time.perf_counter() - start)
            if answer.WhichOneof("type") == "script_finished":
                return time.perf_counter() - start
        raise ConnectionError("the server closed the session")

    def _answers(self) -> Iterator[ForwardMsg]:
        while True:
            data = self.socket.recv(timeout=300)
            self.bytes += len(data)
            answer = ForwardMsg()
            answer.ParseFromString(data)
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.identity = answer.new_session.initialize.session_id
            # which page the frame chose; without its hash the next run would show home
            elif kind == "navigation":
                self.hash = answer.navigation.page_script_hash
            elif kind == "auto_rerun":
                self.timed, self.interval = answer.auto_rerun.fragment_id, answer.auto_rerun.interval
            elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                element = answer.delta.new_element
                inner = getattr(element, element.WhichOneof("type"))
                self.text += f"{getattr(inner, 'body', '') or getattr(inner, 'text', '')}\n"
                identity = getattr(inner, "id", "")
                if isinstance(identity, str) and identity.startswith("$$ID"):
                    self.widgets[identity.split("-", 2)[2]] = identity
                    if answer.delta.fragment_id:
                        self.fragments[identity] = answer.delta.fragment_id
            yield answer


def _form(name: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    """A file as the body and the headers of a form."""
    edge = b"--a-line-that-no-file-holds"
    head = (
        b'\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\nContent-Type: image/jpeg\r\n\r\n'
        % name.encode()
    )
    return edge + head + content + b"\r\n" + edge + b"--\r\n", {
        "Content-Type": f"multipart/form-data; boundary={edge[2:].decode()}"
    }
