// Stop-watches inside the page, for latencies.py: added to every page before its own scripts. Times are milliseconds on
// the clock of event.timeStamp, so that they begin when the browser got the event, not when a handler ran.

(() => {
  const probes = { times: {}, frames: null };
  window.latencyProbes = probes;

  /** The first element of the page that fits, also inside shadow roots. */
  const find = (selector, root = document) => {
    const here = root.querySelector(selector);
    if (here) return here;
    for (const element of root.querySelectorAll("*")) {
      const inside = element.shadowRoot && find(selector, element.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };

  let found = null;
  const picture = () => (found?.isConnected ? found : (found = find("[data-part=picture]")));

  /** [red, green, blue, alpha] of the picture at a point of the window, in CSS pixels. */
  const pixelAt = (x, y) => {
    const canvas = picture(), { left, top, width } = canvas.getBoundingClientRect();
    const ratio = canvas.width / width;
    return [...canvas.getContext("2d").getImageData((x - left) * ratio, (y - top) * ratio, 1, 1).data];
  };

  /** Call `done` after each frame was drawn, by whatever callback, until it returns true. */
  const afterFrames = (done) => {
    const channel = new MessageChannel();
    let frames = 0;
    channel.port1.onmessage = () => {
      if (done(frames)) channel.port1.close();
      else requestAnimationFrame(next);
    };
    const next = () => {
      frames++;
      channel.port2.postMessage(null);
    };
    requestAnimationFrame(next);
  };

  const note = (name, value) => (probes.times[name] ??= []).push(value);
  probes.take = (name) => {
    const values = probes.times[name] ?? [];
    probes.times[name] = [];
    return values;
  };

  // Before the page's own listeners, which swallow what they handle. Control alone is no command yet.
  const armed = {};
  for (const type of ["pointerup", "pointermove", "keydown", "click"]) {
    window.addEventListener(type, (event) => {
      const start = armed[type];
      if (!start || event.key === "Control") return;
      delete armed[type];
      start(event);
    }, { capture: true });
  }

  /** The next event of a type starts a watch that stops when everything drawn is on the server's disk. */
  probes.watchSaved = (type, name) => {
    const start = (event) => {
      const began = event.timeStamp;
      afterFrames(() => {
        const { busy, unsaved, ready } = window.tilewrightPaint.state();
        if (busy || unsaved > 0 || !ready) return false;
        note(name, performance.now() - began);
        const answers = performance.getEntriesByType("resource").filter((entry) => entry.startTime >= began - 5 && /\/labels\/\d+\/(strokes|undo)/.test(entry.name));
        if (answers.length) note(`${name}, answered`, answers.at(-1).responseEnd - began);
        performance.clearResourceTimings();
        return true;
      });
    };
    armed[type] = start;
  };

  /** The next pointer move starts a watch that stops when the pixel under the pointer has another colour. */
  probes.watchPaint = (name) => {
    const start = ({ timeStamp, clientX, clientY }) => {
      const before = pixelAt(clientX, clientY).join();
      afterFrames((frames) => {
        const painted = pixelAt(clientX, clientY).join() !== before;
        if (painted) note(name, [frames, performance.now() - timeStamp]);
        return painted || frames > 120;
      });
    };
    armed.pointermove = start;
  };

  /** Whether the middle of the picture shows the image of this tile. */
  const showsTile = (tile) => {
    const canvas = window.tilewrightPaint && picture();
    if (!canvas || window.tilewrightPaint.state().tile !== tile || canvas.width < 50) return false;
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return pixelAt(left + width / 2, top + height / 2)[3] > 0;
  };

  /** From the page's own beginning (navigation) to the first pixels of a tile. */
  probes.watchFirstPaint = (tile, name) => afterFrames(() => {
    const shown = showsTile(tile);
    if (shown) note(name, performance.now());
    return shown;
  });

  /** The next click starts a watch that stops at the first pixels of another tile than now. */
  probes.watchSwitch = (name) => {
    const was = window.tilewrightPaint.state().tile;
    const start = ({ timeStamp }) => {
      let since = 0; // frames: the first after the switch may still hold the old tile's pixels
      afterFrames(() => {
        const now = window.tilewrightPaint?.state().tile ?? was;
        since += now !== was;
        const shown = since > 1 && showsTile(now);
        if (shown) note(name, performance.now() - timeStamp);
        return shown;
      });
    };
    armed.click = start;
  };

  /** Note the length of every frame until stopped. */
  probes.startFrames = () => {
    const lengths = (probes.frames = []);
    let last = null;
    const next = (now) => {
      if (probes.frames !== lengths) return;
      if (last !== null) lengths.push(now - last);
      last = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  };
  probes.stopFrames = () => {
    const lengths = probes.frames;
    probes.frames = null;
    return lengths;
  };

  /** A request to the server from the page, to its last byte: [milliseconds, status]. */
  probes.ask = async (address, body, headers = {}) => {
    const began = performance.now();
    const options = body && { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
    const answer = await fetch(address, options ?? { headers, cache: "no-store" });
    await answer.arrayBuffer();
    return [performance.now() - began, answer.status];
  };
})();
