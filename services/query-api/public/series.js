/** The points of one chart and the rate of all readings: bounded, and free of the DOM. */

/** @typedef {{ time: number, value: number, arrived: number }} Point time and arrival in ms since 1970 */

/** What one chart keeps: enough for 1,000 pixels of width. */
export const MAX_POINTS = 1_000

/** Points beyond that until the surplus goes at once: finding the oldest arrivals costs a sort. */
const SLACK = 100

/** How long a point stays after it arrived. */
export const KEEP_MS = 5 * 60_000

/** Points that stay however old they are: a device that reports every ten minutes still draws a line. */
export const MIN_POINTS = 20

export class Series {
  /** @type {Point[]} in order of time, one per time */
  #points = []

  get points() {
    return this.#points
  }

  /** @param {Point} point The later of two with the same time wins, as in the store. */
  add(point) {
    const points = this.#points
    let index = points.length
    while (index > 0 && points[index - 1].time > point.time) index -= 1
    if (index > 0 && points[index - 1].time === point.time) points[index - 1] = point
    else points.splice(index, 0, point)
    if (points.length > MAX_POINTS + SLACK) this.#dropOldestArrivals(MAX_POINTS)
  }

  /**
   * Puts stored points under those that arrived live meanwhile; of one time the live one stays, it is newer.
   * @param {Point[]} stored in order of time
   */
  addStored(stored) {
    const live = this.#points
    const known = new Set(live.map((point) => point.time))
    this.#points = [...stored.filter((point) => !known.has(point.time)), ...live].sort((a, b) => a.time - b.time)
    if (this.#points.length > MAX_POINTS) this.#dropOldestArrivals(MAX_POINTS)
  }

  /**
   * Drops what is too old or too much; what is drawn was pruned before.
   * @param {number} now ms since 1970
   */
  prune(now) {
    const recent = this.#points.filter((point) => point.arrived >= now - KEEP_MS).length
    this.#dropOldestArrivals(Math.min(MAX_POINTS, Math.max(MIN_POINTS, recent)))
  }

  // By arrival, not by time: a device may send last year's readings now, and they are what the person is looking at.
  /** @param {number} keep */
  #dropOldestArrivals(keep) {
    const points = this.#points
    if (points.length <= keep) return
    const arrivals = points.map((point) => point.arrived).sort((a, b) => a - b)
    let surplus = points.length - keep
    const limit = arrivals[surplus - 1]
    this.#points = points.filter((point) => {
      if (surplus > 0 && point.arrived <= limit) {
        surplus -= 1
        return false
      }
      return true
    })
  }
}

const DAY_MS = 86_400_000
const YEAR_2000_MS = Date.UTC(2000, 0, 1)

/**
 * The points worth drawing: without those of a clock that is plainly wrong (before 2000, more than a day ahead), which
 * would squeeze all the others into one pixel, unless there are no others.
 * @param {readonly Point[]} points
 * @param {number} now
 */
export function plausible(points, now) {
  const good = points.filter((point) => point.time >= YEAR_2000_MS && point.time <= now + DAY_MS)
  return good.length > 0 ? good : points
}

/** Readings per second over the last ten whole seconds, or since the first one when that is less. */
export class Rate {
  /** @type {Map<number, number>} second -> readings */
  #seconds = new Map()
  #first = 0

  /** @param {number} now */
  add(now) {
    const second = Math.floor(now / 1000)
    if (this.#seconds.size === 0) this.#first = second
    this.#seconds.set(second, (this.#seconds.get(second) ?? 0) + 1)
  }

  /** @param {number} now */
  read(now) {
    const second = Math.floor(now / 1000)
    let total = 0
    for (const [key, count] of this.#seconds) {
      if (key < second - 10) this.#seconds.delete(key)
      else if (key < second) total += count
    }
    return total / Math.min(10, Math.max(1, second - this.#first))
  }
}

/**
 * Milliseconds since 1970 of an RFC 3339 time; digits beyond the millisecond stay as a fraction.
 * @param {string} text
 */
export function parseTime(text) {
  const match = /^(.*T\d\d:\d\d:\d\d)(\.\d+)?(.*)$/.exec(text)
  if (match === null) return Number.NaN
  return Date.parse(match[1] + match[3]) + Number(match[2] ?? 0) * 1000
}
