/* The player of the page: buttons, keys, pictures. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const sounds = [...document.querySelectorAll(".sound")];
  const lanes = [...document.querySelectorAll(".lane")].slice(0, data.lanes.length);
  const engine = data.inside ? new ClockEngine(sounds, data.rate, data.seconds) : new FileEngine(sounds, data.seconds);
  const view = byId("lanes");
  const plane = byId("plane");
  const muted = data.lanes.map((lane) => lane.quiet);
  let only = null; // the lane that plays alone
  let pulling = null; // where a drag began

  const clock = (t) => {
    const tenths = Math.round(10 * t);
    const [h, m, s] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60, (tenths % 600) / 10];
    const seconds = (s < 10 ? "0" : "") + s.toFixed(1);
    return h ? `${h}:${String(m).padStart(2, "0")}:${seconds}` : `${m}:${seconds}`;
  };
  const inside = (t) => Math.max(0, Math.min(data.seconds - 0.001, t));
  const say = (text) => (byId("state").textContent = text);

  /* Sound */
  function heard(k) {
    return only === null ? !muted[k] : only === k;
  }

  function mix() {
    lanes.forEach((lane, k) => {
      engine.level(k, heard(k) ? 1 : 0);
      lane.classList.toggle("silent", !heard(k));
      lane.querySelector(".solo").setAttribute("aria-pressed", String(only === k));
      lane.querySelector(".mute").setAttribute("aria-pressed", String(muted[k]));
    });
  }

  function solo(k) {
    only = only === k ? null : k;
    mix();
  }

  function mute(k) {
    muted[k] = !muted[k];
    only = null;
    mix();
  }

  async function toggle() {
    if (byId("play").disabled) return;
    if (engine.playing) engine.pause();
    else await engine.play();
    show();
  }

  function seek(t) {
    engine.seek(inside(t));
    show();
  }

  /* The part to repeat */
  function part() {
    const [from, to] = [Number(byId("from").value), Number(byId("to").value)];
    return to - from >= 0.05 ? [inside(from), Math.min(to, data.seconds)] : null;
  }

  function repeat(on) {
    const chosen = part();
    byId("loop").setAttribute("aria-pressed", String(on && chosen !== null));
    engine.repeat(on ? chosen : null);
    if (on && chosen === null) say("“to” has to be later than “from”");
    mark(on ? chosen : null);
    show();
  }

  const repeating = () => byId("loop").getAttribute("aria-pressed") === "true";

  function mark(span) {
    const box = byId("chosen");
    box.hidden = span === null;
    if (span) {
      box.style.left = `${(100 * span[0]) / data.seconds}%`;
      box.style.width = `${(100 * (span[1] - span[0])) / data.seconds}%`;
    }
  }

  function choose(from, to) {
    byId("from").value = from.toFixed(2);
    byId("to").value = to.toFixed(2);
    repeat(true);
  }

  /* Pictures */
  const scale = () => Math.exp(Number(byId("zoom").value) * Math.log(Math.max(2, data.seconds / 2)));

  function zoom() {
    const before = plane.clientWidth;
    const middle = engine.time() / data.seconds;
    const head = middle * before - view.scrollLeft;
    plane.style.width = `${Math.min(24000, Math.round(view.clientWidth * scale()))}px`;
    view.style.setProperty("--seen", `${view.clientWidth}px`);
    if (head >= 0 && head <= view.clientWidth) view.scrollLeft = middle * plane.clientWidth - head;
    rule();
  }

  function rule() {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((s) => (s / data.seconds) * plane.clientWidth >= 64) || 3600;
    const marks = [];
    for (let k = 0; k * step < data.seconds; k++) {
      const span = document.createElement("span");
      span.style.left = `${(100 * k * step) / data.seconds}%`;
      span.textContent = clock(k * step).replace(/\.0$/, "");
      marks.push(span);
    }
    byId("ruler").replaceChildren(...marks);
  }

  function show() {
    const t = engine.time();
    byId("time").textContent = clock(t);
    const position = byId("position");
    position.value = t;
    position.setAttribute("aria-valuetext", clock(t));
    byId("play").textContent = engine.playing ? "Pause" : "Play";
    const x = (t / data.seconds) * plane.clientWidth;
    byId("head").style.transform = `translateX(${x}px)`;
    if (engine.playing && pulling === null && (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth)) {
      view.scrollLeft = x - view.clientWidth / 10;
    }
  }

  function frames() {
    if (engine.playing) show();
    requestAnimationFrame(frames);
  }

  function waves() {
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--wave").trim();
    return lanes.map((lane, k) =>
      WaveSurfer.create({
        container: lane.querySelector(".wave"),
        peaks: [data.peaks[k]],
        duration: data.seconds,
        normalize: true,
        maxPeak: data.peak, // one scale for all
        height: 56,
        waveColor: colour,
        progressColor: colour,
        cursorWidth: 0,
        interact: false,
        hideScrollbar: true,
      }),
    );
  }

  /* Clicks and drags in the pictures */
  const at = (event) => inside(((event.clientX - plane.getBoundingClientRect().left) / plane.clientWidth) * data.seconds);
  const far = (event) => Math.abs(event.clientX - pulling.x) > 6;

  plane.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || event.target.closest("button")) return;
    pulling = { x: event.clientX, t: at(event) };
    plane.setPointerCapture(event.pointerId);
  });
  plane.addEventListener("pointermove", (event) => {
    if (pulling && far(event)) mark([pulling.t, at(event)].sort((a, b) => a - b));
  });
  plane.addEventListener("pointerup", (event) => {
    if (!pulling) return;
    const [from, to] = [pulling.t, at(event)].sort((a, b) => a - b);
    if (far(event) && to - from >= 0.05) choose(from, to);
    else seek(at(event));
    pulling = null;
  });
  plane.addEventListener("pointercancel", () => {
    pulling = null;
    mark(repeating() ? part() : null);
  });
  plane.addEventListener("click", (event) => {
    if (event.pointerType === "touch" && !event.target.closest("button")) seek(at(event)); // a finger that moves scrolls
  });

  /* Buttons */
  byId("play").addEventListener("click", toggle);
  byId("back").addEventListener("click", () => seek(engine.time() - 5));
  byId("ahead").addEventListener("click", () => seek(engine.time() + 5));
  byId("position").addEventListener("input", (event) => seek(Number(event.target.value)));
  byId("loop").addEventListener("click", () => repeat(!repeating()));
  for (const id of ["from", "to"]) byId(id).addEventListener("change", () => repeating() && repeat(true));
  byId("zoom").addEventListener("input", zoom);
  byId("pictures").addEventListener("change", (event) => view.classList.toggle("no-pictures", !event.target.checked));
  lanes.forEach((lane, k) => {
    lane.querySelector(".solo").addEventListener("click", () => solo(k));
    lane.querySelector(".mute").addEventListener("click", () => mute(k));
  });

  /* Keys */
  function wider(step) {
    byId("zoom").value = Number(byId("zoom").value) + step;
    zoom();
  }

  const keys = {
    Space: () => toggle(),
    ArrowLeft: (shift) => seek(engine.time() - (shift ? 1 : 5)),
    ArrowRight: (shift) => seek(engine.time() + (shift ? 1 : 5)),
    Home: () => seek(0),
    KeyL: () => repeat(!repeating()),
    BracketLeft: () => choose(engine.time(), Math.max(Number(byId("to").value), engine.time() + 0.1)),
    BracketRight: () => choose(Math.min(Number(byId("from").value), engine.time() - 0.1), engine.time()),
    Minus: () => wider(-0.1),
    Equal: () => wider(0.1),
    NumpadAdd: () => wider(0.1),
    NumpadSubtract: () => wider(-0.1),
  };

  document.addEventListener("keydown", (event) => {
    const own = event.target.closest("input, textarea, select");
    const button = event.target.closest("button, summary, a");
    if (!byId("keys").checked || own || event.ctrlKey || event.metaKey || event.altKey) return;
    if (button && event.code === "Space") return;
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
    if (digit && Number(digit[1]) <= lanes.length) (event.shiftKey ? mute : solo)(Number(digit[1]) - 1);
    else if (keys[event.code]) keys[event.code](event.shiftKey);
    else return;
    event.preventDefault();
  });

  /* Begin */
  let drawn = waves();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const wave of drawn) wave.destroy();
    drawn = waves();
  });
  new ResizeObserver(zoom).observe(view);
  engine.ended = show;
  mix();
  zoom();
  show();
  requestAnimationFrame(frames);
  engine
    .load((share) => say(`Reading the sound… ${Math.round(100 * share)} %`))
    .then(() => {
      byId("play").disabled = false;
      say("");
    })
    .catch((error) => say(`The sound cannot be played: ${error.message}`));
  window.bssPlayer = { engine, seek, toggle, solo, mute, choose, repeat, heard };
})();
