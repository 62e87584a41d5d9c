"""What a chain shows, as plain data: the terminal's table and the page draw the same."""

from __future__ import annotations

from typing import Any

from edgebn.live.answers import line, plain
from edgebn.live.chain import STAGES, Chain


def state_of(chain: Chain, model: str, fleet: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return everything but the picture; `fleet` is what an agent's `status` says."""
    shown = chain.shown
    found: dict[str, Any] = {
        "model": model,
        "number": shown.number,
        "answered": shown.answered,
        "dropped": shown.dropped,
        "losses": shown.losses,
        "rate": round(shown.rate, 2),
        "milliseconds": {name: round(shown.milliseconds[name], 3) for name in STAGES if name in shown.milliseconds},
        "answer": plain(shown.answer),
        "line": line(shown.answer) if shown.answered else "waiting",
        "adaptation": chain.learned.as_dict() if chain.learned is not None else None,
        "fleet": fleet,
    }
    return found


def lines_of(state: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and values, in the order in which they are shown."""
    counts = f"{state['answered']} answered, {state['dropped']} dropped, {state['losses']} times lost"
    lines = [("answer", state["line"]), ("rate", f"{state['rate']:.1f} a second"), ("count", counts)]
    lines += [(name, f"{value:.2f} ms") for name, value in state["milliseconds"].items()]
    learned = state["adaptation"]
    if learned:
        refused, trips = sum(learned["refused"].values()), len(learned["trips"])
        lines.append(("learning", f"{learned['accepted']} of {learned['seen']} accepted, {refused} refused, {trips} trips"))
        lines += [(f"drift {one['name']}", f"{one['drift']:.3f}, gate {one['gate']:.2f}") for one in learned["layers"]]
    fleet = state["fleet"]
    if fleet:
        line = "online" if fleet["online"] else f"offline: {fleet['problem'] or 'not yet connected'}"
        counts = f"{fleet['published']} published, {fleet['priors_taken']} priors taken, {fleet['priors_undone']} undone"
        lines.append((f"fleet {fleet['group']}/{fleet['device']}", f"{line}; {counts}"))
    return lines
