import { byId } from './dom.js'
import { plausible } from './series.js'
import { MAX_TRACKS, Track } from './track.js'

/** @typedef {import('./series.js').Point} Point */

/** The shortest span drawn: a single reading stands at the right edge of it. */
const MIN_SPAN_MS = 10_000

/** The charts of one stream, one above the other over a common time. */
export class Charts {
  #box = byId('tracks', HTMLElement)
  /** @type {Map<string, Track>} */
  #tracks = new Map()
  /** Fields that somebody wants to see, the newest wish first. @type {string[]} */
  #wanted = []

  constructor() {
    new ResizeObserver(() => this.#each((track) => track.fit())).observe(this.#box)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#each((track) => track.repaint()))
  }

  clear() {
    this.#each((track) => track.remove())
    this.#tracks.clear()
    this.#wanted = []
  }

  /**
   * Draws the field from now on, where it has points; the one that was wanted longest ago, or by nobody, makes room.
   * @param {string} field
   */
  want(field) {
    this.#wanted = [field, ...this.#wanted.filter((other) => other !== field)].slice(0, MAX_TRACKS)
  }

  /**
   * @param {ReadonlyMap<string, readonly Point[]>} fields {@link MAX_TRACKS} with points are drawn: those wanted, then the first
   * @param {number} now ms since 1970
   * @returns {ReadonlySet<string>} fields with points that had no room
   */
  draw(fields, now) {
    const filled = [...fields].filter(([, points]) => points.length > 0)
    const names = filled.map(([field]) => field)
    const wanted = this.#wanted.filter((field) => names.includes(field))
    const drawn = new Set([...new Set([...wanted, ...names])].slice(0, MAX_TRACKS))
    const shown = filled
      .filter(([field]) => drawn.has(field))
      .map(([field, points]) => /** @type {const} */ ([field, plausible(points, now)]))
    const range = spanOf(shown.map(([, points]) => points))
    for (const field of this.#tracks.keys()) {
      if (!shown.some(([name]) => name === field)) this.#remove(field)
    }
    for (const [field, points] of shown) this.#trackOf(field).draw(points, range, shown.length)
    return new Set(names.filter((field) => !drawn.has(field)))
  }

  /** @param {string} field */
  #trackOf(field) {
    let track = this.#tracks.get(field)
    if (track === undefined) {
      track = new Track(field, this.#freeColour())
      this.#tracks.set(field, track)
      this.#box.append(track.element)
    }
    return track
  }

  #freeColour() {
    const taken = new Set([...this.#tracks.values()].map((track) => track.colour))
    let colour = 0
    while (taken.has(colour)) colour += 1
    return colour
  }

  /** @param {string} field */
  #remove(field) {
    this.#tracks.get(field)?.remove()
    this.#tracks.delete(field)
  }

  /** @param {(track: Track) => void} act */
  #each(act) {
    for (const track of this.#tracks.values()) act(track)
  }
}

/**
 * @param {(readonly Point[])[]} all each in order of time
 * @returns {{ from: number, to: number }} ms since 1970
 */
function spanOf(all) {
  const from = Math.min(...all.map((points) => points[0].time))
  const to = Math.max(...all.map((points) => points[points.length - 1].time))
  return { from: Math.min(from, to - MIN_SPAN_MS), to }
}
