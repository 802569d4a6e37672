/* The sound of all tracks. Both engines have load, play, pause, seek, repeat, level, time, playing, and call `ended` at the end. */
"use strict";

/* Tracks in the page: one clock for all. Their sources start at one moment of it, so no two are a sample apart. */
class ClockEngine {
  constructor(texts, rate, seconds) {
    this.texts = texts;
    this.rate = Math.min(96000, Math.max(8000, rate));
    this.seconds = seconds;
    this.levels = texts.map(() => 1);
    this.buffers = [];
    this.sources = [];
    this.gains = [];
    this.context = null;
    this.playing = false;
    this.from = 0; // where in the recording it was started, and when by the clock
    this.since = 0;
    this.part = null;
    this.ended = () => {};
  }

  async load(done) {
    const decoder = new OfflineAudioContext(1, 1, this.rate);
    for (const [k, element] of this.texts.entries()) {
      const text = atob(element.textContent);
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      this.buffers.push(await decoder.decodeAudioData(bytes.buffer));
      element.remove(); // the page need not hold it twice
      done((k + 1) / this.texts.length);
    }
  }

  /* Browsers allow a context to sound only after a gesture, so it is made when Play is pressed. */
  open() {
    if (this.context) return;
    this.context = new AudioContext({ sampleRate: this.rate });
    this.gains = this.levels.map((level) => {
      const gain = this.context.createGain();
      gain.gain.value = level;
      gain.connect(this.context.destination);
      return gain;
    });
  }

  async play() {
    this.open();
    await this.context.resume();
    this.start(this.from);
  }

  start(at) {
    this.stop();
    const when = this.context.currentTime + 0.03;
    this.sources = this.buffers.map((buffer, k) => {
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      if (this.part) {
        source.loop = true;
        [source.loopStart, source.loopEnd] = this.part;
      }
      source.connect(this.gains[k]);
      source.start(when, at);
      return source;
    });
    const first = this.sources[0];
    if (first) first.onended = () => first === this.sources[0] && this.finish();
    this.from = at;
    this.since = when;
    this.playing = true;
  }

  stop() {
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.sources = [];
  }

  finish() {
    this.stop();
    this.playing = false;
    this.from = 0;
    this.ended();
  }

  pause() {
    this.from = this.time();
    this.playing = false;
    this.stop();
  }

  seek(at) {
    if (this.playing) this.start(at);
    else this.from = at;
  }

  repeat(part) {
    const at = this.time();
    this.part = part;
    this.seek(part && (at < part[0] || at >= part[1]) ? part[0] : at);
  }

  level(k, level) {
    this.levels[k] = level;
    if (this.context) this.gains[k].gain.setTargetAtTime(level, this.context.currentTime, 0.008);
  }

  time() {
    if (!this.playing) return this.from;
    const at = this.from + Math.max(0, this.context.currentTime - this.since);
    if (this.part && at >= this.part[1]) return this.part[0] + ((at - this.part[0]) % (this.part[1] - this.part[0]));
    return Math.min(at, this.seconds);
  }
}

/* Tracks in files beside the page, which it may play but not read: an element each, and those that run ahead or behind are led back. */
class FileEngine {
  constructor(elements, seconds) {
    this.elements = elements;
    this.seconds = seconds;
    this.playing = false;
    this.part = null;
    this.ended = () => {};
    elements[0].addEventListener("ended", () => {
      this.pause();
      this.seek(0);
      this.ended();
    });
    setInterval(() => this.together(), 100);
  }

  async load(done) {
    const ready = (element) =>
      new Promise((resolve, reject) => {
        const failed = () => reject(new Error(`${decodeURIComponent(element.getAttribute("src"))} cannot be played`));
        if (element.error) failed();
        if (element.readyState >= 1) resolve();
        element.addEventListener("loadedmetadata", resolve);
        element.addEventListener("error", failed);
      });
    for (const [k, element] of this.elements.entries()) {
      await ready(element);
      done((k + 1) / this.elements.length);
    }
  }

  async play() {
    this.playing = true;
    await Promise.all(this.elements.map((element) => element.play()));
  }

  pause() {
    this.playing = false;
    for (const element of this.elements) element.pause();
    this.seek(this.time());
  }

  seek(at) {
    for (const element of this.elements) {
      element.playbackRate = 1;
      element.currentTime = at;
    }
  }

  repeat(part) {
    this.part = part;
    const at = this.time();
    if (part && (at < part[0] || at >= part[1])) this.seek(part[0]);
  }

  level(k, level) {
    this.elements[k].volume = level;
  }

  time() {
    return this.elements[0].currentTime;
  }

  together() {
    if (!this.playing) return;
    const lead = this.elements[0];
    if (this.part && lead.currentTime >= this.part[1]) this.seek(this.part[0]);
    for (const element of this.elements.slice(1)) {
      const ahead = element.currentTime - lead.currentTime;
      if (Math.abs(ahead) > 0.2) element.currentTime = lead.currentTime;
      else element.playbackRate = Math.abs(ahead) > 0.004 ? 1 - Math.max(-0.05, Math.min(0.05, 2 * ahead)) : 1;
    }
  }
}
