"""An emulated board that stays when the one who spoke to it hangs up."""

import contextlib
import socket
import threading


@contextlib.contextmanager
def plugged(url):
    """Yield an address at which one after another can speak to what is at `url`: emulators of some boards end with the line."""
    board = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)
    current, gone = [], threading.Event()

    def from_board():
        with contextlib.suppress(OSError):
            while data := board.recv(65536):
                for one in current[-1:]:
                    with contextlib.suppress(OSError):
                        one.sendall(data)
        gone.set()
        for one in current[-1:]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def to_board():
        with contextlib.suppress(OSError):
            while not gone.is_set():
                try:
                    one, _ = listening.accept()
                except TimeoutError:
                    continue
                current.append(one)
                with contextlib.suppress(OSError):
                    while data := one.recv(65536):
                        board.sendall(data)
                current.remove(one)
                one.close()

    threads = [threading.Thread(target=work) for work in (from_board, to_board)]
    for thread in threads:
        thread.start()
    try:
        yield f"socket://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        gone.set()
        for one in (board, *current):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        board.close()
        listening.close()
