"""What is being trained, live: the queue, the figures of the moment, the curves, the log; several runs on one chart.

One fragment draws it all, every second while something waits or runs and not at all otherwise. The rest of the page
runs anew only when a job has ended, since its table of runs is then out of date.
"""

from collections.abc import Callable
from html import escape

import streamlit as st

from core.jobs import log
from core.jobs.fits import Figures, Fit, curve, figures, list_fits
from core.jobs.outcome import JobState
from core.workspace import Workspace
from pages.components.curves import (
    CHART_HEIGHT,
    Curve,
    coloured,
    has_classes,
    has_pace,
    iou_by_class,
    loss_and_score,
    pace,
)
from pages.components.job_cards import STATE_SIGNS, duration
from pages.components.jobs import LIST_SECONDS, Look, draw_ended, draw_queue, draw_running

KEY = "training_live"
_SHOWN, _SEEN, _OURS, _NUMBER, _VIEW, _TIME = (
    f"{KEY}-{name}" for name in ("shown", "seen", "ours", "number", "view", "time")
)
MOST_SHOWN = 8
LOG_LINES = 12
_DASH = "\u2013"

LOSS, CLASSES, PACE = "Loss, mIoU", "Classes", "Pace"

WAITING = {
    JobState.QUEUED: "Waiting for its turn; the curve begins when training does.",
    JobState.RUNNING: "Reading the tiles first; the curve begins when training does.",
    JobState.PAUSED: "Paused before its first point.",
    JobState.FAILED: "It failed before its first point; its card above says why.",
    JobState.LOST: "It was lost before its first point; its card above says why.",
    JobState.CANCELLED: "Cancelled before its first point.",
    JobState.DONE: "This run kept no curve.",
}

_STYLE = """<style>
.tw-figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(5.1rem, 1fr)); gap: .5rem .7rem }
.tw-figures div { min-width: 0; }
.tw-figures span { display: block; opacity: .75; font-size: .78rem; line-height: 1.3; white-space: nowrap; }
.tw-figures b { display: block; font-size: 1.05rem; font-weight: 600; font-variant-numeric: tabular-nums;
  line-height: 1.35; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.tw-figures small { font-weight: 400; font-size: .75rem; opacity: .75; }
.tw-runs { overflow-x: auto; }
.tw-runs table { border-collapse: collapse; width: 100%; font-size: .84rem; font-variant-numeric: tabular-nums; }
.tw-runs th { font-weight: 500; opacity: .75; text-align: right; padding: .15rem .5rem; white-space: nowrap; }
.tw-runs td { text-align: right; padding: .2rem .5rem; white-space: nowrap;
  border-top: 1px solid rgba(128, 128, 128, .25); }
.tw-runs th:first-child, .tw-runs td:first-child { text-align: left; padding-left: 0; }
.tw-dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .4em; }
</style>"""


def training_progress(workspace: Workspace) -> None:
    """The whole right-hand side of the Train page."""
    st.subheader("Progress", anchor=False)
    look = Look(workspace)
    st.fragment(_live, run_every=LIST_SECONDS if look.active else None)(workspace, look)


def _live(workspace: Workspace, earlier: Look) -> None:
    """The fragment. ``earlier`` is what the page's last run saw."""
    look = Look(workspace)
    if look.calls_for_a_page(earlier):
        st.rerun()
    draw_running(workspace, look, KEY)
    fits = {fit.name: fit for fit in list_fits(workspace)}
    if fits:
        _fits(workspace, fits)
    else:
        st.info(
            "Nothing has been trained in this workspace yet. Choose tiles and a recipe, then start: the queue, the "
            "curves and the log appear here.",
            icon=":material/model_training:",
        )
    draw_queue(workspace, look, KEY)
    draw_ended(workspace, look, KEY)


def _fits(workspace: Workspace, fits: dict[str, Fit]) -> None:
    chosen = [fits[name] for name in _choose(fits)]
    if chosen:
        _chart(workspace, chosen)
        _log(workspace, chosen[0])
    else:
        st.caption("Choose a run to see its curve.")


def _choose(fits: dict[str, Fit]) -> list[str]:
    """The names to show. A fit that begins comes to the front; alone, unless somebody chose several.

    Each choice of ours is the default of a widget of its own. To set the value of one that is there could be lost
    on the way, where one run of the page follows another closely, or undo what is being chosen at this moment.
    """
    first = next((fit for fit in fits.values() if fit.job is None or fit.job.started), next(iter(fits.values())))
    ours: list[str] = st.session_state.setdefault(_OURS, [first.name])
    number: int = st.session_state.setdefault(_NUMBER, 0)
    shown = [name for name in st.session_state.get(f"{_SHOWN}-{number}", ours) if name in fits]
    if first.job is not None and first.state is JobState.RUNNING:
        attempt = (first.job.id, first.job.started)
        if st.session_state.get(_SEEN) != attempt and first.name not in shown:
            ours = [first.name, *(shown if len(shown) > 1 else [])][:MOST_SHOWN]
            number += 1
        st.session_state.update({_SEEN: attempt, _OURS: ours, _NUMBER: number})
    return st.multiselect(
        "Runs on the chart",
        list(fits),
        default=[name for name in ours if name in fits],
        max_selections=MOST_SHOWN,
        key=f"{_SHOWN}-{number}",
        placeholder="Choose runs to compare",
    )


def _chart(workspace: Workspace, chosen: list[Fit]) -> None:
    """Figures above, one chart below; both keep their height whatever there is to show."""
    points = [curve(workspace, fit) for fit in chosen]
    curves = coloured([(fit.name, one) for fit, one in zip(chosen, points, strict=True)])
    now = [figures(workspace, fit, one) for fit, one in zip(chosen, points, strict=True)]
    st.html(_STYLE + (_tiles(now[0]) if len(chosen) == 1 else _table(chosen, curves, now)))
    views = [LOSS, *([CLASSES] if has_classes(curves) else []), *([PACE] if has_pace(curves) else [])]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        view = st.segmented_control(
            "Chart", views, default=LOSS, required=True, key=f"{_VIEW}-{len(views)}", label_visibility="collapsed"
        )
        by_time = st.toggle("over time", key=_TIME)
    if view == CLASSES:
        chart = iou_by_class(curves, by_time=by_time)
    elif view == PACE:
        chart = pace(curves, by_time=by_time)
    else:
        chart = loss_and_score(curves, by_time=by_time, waiting=WAITING[chosen[0].state])
    alt = f"{view} of {', '.join(fit.name for fit in chosen)} as training goes on; the figures stand above."
    st.echarts_chart(chart, key=f"{KEY}-{view}-{len(chosen)}", height=CHART_HEIGHT, renderer="svg", alt=alt)


def _log(workspace: Workspace, fit: Fit) -> None:
    if fit.job is None:
        return
    lines = log.story(workspace, fit.job.id, LOG_LINES)
    with st.expander("Last lines of the log", icon=":material/terminal:", key=f"{KEY}-log"):
        st.caption(f"{fit.name}, from {log.log_path(workspace, fit.job.id)}")
        st.code("\n".join(lines) or "It has said nothing yet.", language=None, wrap_lines=True, height=230)


def _tiles(now: Figures) -> str:
    """The figures of one run, always the same eight."""
    cells = "".join(
        f"<div><span>{escape(label)}</span><b>{value(now)}</b></div>" for label, value in (_step_column(now), *_COLUMNS)
    )
    return f'<div class="tw-figures" data-testid="live-figures">{cells}</div>'


def _table(chosen: list[Fit], curves: list[Curve], now: list[Figures]) -> str:
    """The figures of several runs, one row each, in the colours of their lines."""
    columns = (("step", lambda one: _step_column(one)[1](one)), *_COLUMNS, ("left", _left))
    head = "".join(f"<th>{escape(label)}</th>" for label, _ in columns)
    rows = "".join(
        f'<tr><td><span class="tw-dot" style="background:{line.colour}"></span>{escape(fit.name)} '
        f'<span style="color:{STATE_SIGNS[fit.state][1]}" title="{fit.state.value}">{STATE_SIGNS[fit.state][0]}</span>'
        f"</td>{''.join(f'<td>{value(one)}</td>' for _, value in columns)}</tr>"
        for fit, line, one in zip(chosen, curves, now, strict=True)
    )
    return (
        '<div class="tw-runs" data-testid="live-figures" tabindex="0" role="region" aria-label="Figures of the runs">'
        f"<table><thead><tr><th>run</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _step_column(now: Figures) -> "Column":
    member = f" <small>of member {escape(now.member)}</small>" if now.member is not None else ""
    return now.unit, lambda one: _DASH if one.step is None else f"{one.step}{member}"


def _figure(value: float | None, form: str) -> str:
    return _DASH if value is None else format(value, form)


def _memory(now: Figures) -> str:
    """Of the device where the fit tells it, else of the process."""
    held = now.memory if now.device_memory is None else now.device_memory
    return _DASH if held is None else _gib(held)


def _gib(memory: int) -> str:
    return f"{memory / 2**30:.2f} <small>GiB</small>"


def _left(now: Figures) -> str:
    return _DASH if now.remaining_seconds is None else f"about {duration(now.remaining_seconds)}"


Column = tuple[str, Callable[[Figures], str]]

_COLUMNS: tuple[Column, ...] = (
    ("loss", lambda now: _figure(now.loss, ".4f")),
    ("mIoU", lambda now: _figure(now.miou, ".3f")),
    ("best mIoU", lambda now: _figure(now.best_miou, ".3f")),
    ("learning rate", lambda now: _figure(now.learning_rate, ".1e")),
    ("images/s", lambda now: _figure(now.images_per_second, ".1f")),
    ("memory", _memory),
    ("elapsed", lambda now: duration(now.elapsed_seconds)),
)
