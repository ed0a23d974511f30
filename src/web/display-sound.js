/*
 * display-sound.js
 *   The chime: two soft tones made by the browser, no file, no network.
 *
 * Browsers play nothing before somebody has touched the page; isSilent() says so and the page shows
 * a hint.  A kiosk browser started with --autoplay-policy=no-user-gesture-required needs no touch.
 */

/* Between the beginnings of two chimes: more calls at once are one chime. */
const GAP_MS = 2500;

/* A tone of a bell: the fundamental and two overtones that die away sooner. */
function strike(context, out, frequency, at, loudness) {
  for (const [times, share, length] of [[1, 1, 1.4], [2, 0.35, 0.8], [3.01, 0.12, 0.4]]) {
    const tone = context.createOscillator();
    const envelope = context.createGain();
    tone.type = 'sine';
    tone.frequency.value = frequency * times;
    envelope.gain.setValueAtTime(0.0001, at);
    envelope.gain.exponentialRampToValueAtTime(loudness * share, at + 0.012);
    envelope.gain.exponentialRampToValueAtTime(0.0001, at + length);
    tone.connect(envelope);
    envelope.connect(out);
    tone.start(at);
    tone.stop(at + length + 0.05);
  }
}

export class Chime {
  constructor(volume) {
    const Context = window.AudioContext || window.webkitAudioContext;
    this.volume = volume;
    this.last = -GAP_MS;
    this.count = 0;
    this.context = null;
    if (volume > 0 && Context) {
      try {
        this.context = new Context();
      } catch (error) {
        this.context = null;
      }
    }
    if (!this.context) return;
    const wake = () => this.wake();
    for (const name of ['pointerdown', 'keydown', 'touchend']) window.addEventListener(name, wake);
    this.wake();
  }

  wake() {
    if (this.context.state !== 'suspended') return;
    const woken = this.context.resume();
    if (woken && woken.catch) woken.catch(() => undefined);
  }

  /* Wanted, possible, but not allowed yet. */
  isSilent() {
    return this.context !== null && this.context.state !== 'running';
  }

  /* ring('call') or ring('recall'): a recall rings twice. */
  ring(kind) {
    const now = performance.now();
    if (this.context === null || this.context.state !== 'running' || now - this.last < GAP_MS) return;
    this.last = now;
    this.count += 1;
    const out = this.context.createGain();
    out.gain.value = this.volume;
    out.connect(this.context.destination);
    for (let turn = 0; turn < (kind === 'recall' ? 2 : 1); turn++) {
      const at = this.context.currentTime + 0.02 + turn * 0.9;
      strike(this.context, out, 659.25, at, 0.5);
      strike(this.context, out, 523.25, at + 0.38, 0.5);
    }
    setTimeout(() => out.disconnect(), 4000);
  }
}
