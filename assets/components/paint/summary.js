// The state of the canvas in one plain object, for tests and the console.

export function summaryOf(painter) {
  const { settings, queue, lock, state, tool } = painter, { classIndex, radius, guard } = settings;
  return {
    ready: painter.ready, tile: painter.tile?.id ?? null, opinion: Boolean(painter.opinion), scale: painter.view?.scale ?? null,
    tool: settings.tool, classIndex, radius, guard, settings, hint: tool.hint, inTheAir: tool.busy, notice: painter.notice, suggestion: painter.suggestion.id,
    unsaved: queue?.waiting.length ?? 0, busy: Boolean(queue && (queue.running || queue.waiting.length > 0)),
    trouble: queue?.trouble ?? null, held: queue?.held ?? null, lock: lock ? { mine: lock.mine, holder: lock.holder } : null,
    sequence: state?.sequence ?? null, undo: state?.undo ?? null, redo: state?.redo ?? null, counts: state?.counts ?? null,
  };
}
