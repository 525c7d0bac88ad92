/** The stream of one device that is being looked at: its stored past and what arrives now. Free of the DOM. */

import { parseTime, Series } from './series.js'

/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./series.js').Point} Point */
/** @typedef {import('./stream.js').Reading} Reading */
/** @typedef {{ value: number | boolean | string, type: string, time: number, lastNumber?: Latest | undefined }} Latest time in ms since 1970; `lastNumber` where the value is none */
/** @typedef {{ unit?: string, name?: string }} Declared */
/** @typedef {{ stream: string, field: string, type: string, points: [number, number | boolean | string][] }} StoredSeries */

const HOUR_MS = 3_600_000
const MINUTES_MS = 5 * 60_000

/** Fields kept; a reading has at most 1,000, and nobody reads a longer table. */
export const MAX_FIELDS = 200

/** A time further ahead of its arrival never becomes the latest, here as in the store. */
const AHEAD_MS = 5 * 60_000

export class ChosenStream {
  #session
  /** @type {Map<string, Series>} numeric fields, in the order they were first seen */
  series = new Map()
  /** @type {Map<string, Point[]>} the last hour, thinned */
  hour = new Map()
  /** @type {Map<string, Latest>} */
  latest = new Map()
  /** @type {Map<string, Declared>} what was declared of fields, as of the last {@link load} */
  declared = new Map()
  /** @type {string[]} other streams of the device that are known to the store */
  streams = []
  /** When the newest reading arrived, ms since 1970. */
  lastSeen = Number.NaN

  /**
   * @param {Session} session
   * @param {string} tenant
   * @param {string} device
   * @param {string | undefined} stream undefined: the one that was last written, known after {@link load}
   */
  constructor(session, tenant, device, stream) {
    this.#session = session
    this.tenant = tenant
    this.device = device
    this.stream = stream
  }

  /** Nothing to draw of the last minutes. */
  get isQuiet() {
    return [...this.series.values()].every((series) => series.points.length === 0)
  }

  get #path() {
    return `/v1/devices/${encodeURIComponent(this.tenant)}/${encodeURIComponent(this.device)}`
  }

  /**
   * Takes the reading if it belongs to this stream.
   * @param {Reading} reading
   * @returns {boolean}
   */
  take(reading) {
    if (reading.tenant !== this.tenant || reading.device !== this.device) return false
    this.stream ??= reading.stream
    if (reading.stream !== this.stream) return false
    const arrived = Date.parse(reading.receivedAt)
    const time = parseTime(reading.time)
    this.lastSeen = arrived
    for (const [field, value] of Object.entries(reading.values)) this.#takeValue(field, value, time, arrived)
    return true
  }

  /** The latest values and the last minutes, from the store; what arrived meanwhile stays on top. */
  async load() {
    const answer = await this.#session.get(`${this.#path}/latest`, { epoch: 'rfc3339' })
    /** @type {{ stream: string, lastSeen: string, fields: Record<string, any> }[]} */
    const streams = answer.streams ?? []
    this.streams = streams.map(({ stream }) => stream)
    streams.sort((a, b) => Date.parse(b.lastSeen) - Date.parse(a.lastSeen))
    const state = streams.find(({ stream }) => this.stream === undefined || stream === this.stream)
    if (state === undefined) return
    this.stream = state.stream
    if (Number.isNaN(this.lastSeen)) this.lastSeen = Date.parse(state.lastSeen)
    for (const [field, { value, type, time, lastNumber, unit, name }] of Object.entries(state.fields)) {
      this.declared.set(field, { unit, name })
      const known = this.latest.get(field)
      const number = lastNumber && { ...lastNumber, time: parseTime(lastNumber.time) }
      // A value that arrived while the answer was on its way is newer; only its exact type comes from the store.
      if (known === undefined) this.#setLatest(field, { value, type, time: parseTime(time), lastNumber: number })
      else if (isNumeric(type) && typeof known.value === 'number') known.type = type
    }
    await this.#loadMinutes(this.stream)
  }

  /** @param {string} stream */
  async #loadMinutes(stream) {
    const from = String(Date.now() - MINUTES_MS)
    const query = { stream, from, limit: '10000' }
    let answer = await this.#session.get(`${this.#path}/readings`, query)
    // More than the answer holds: the last value of each second instead.
    if (!answer.complete) answer = await this.#session.get(`${this.#path}/readings`, { ...query, ...perWindow('1s') })
    for (const [field, points] of pointsOf(answer.series)) this.#seriesOf(field)?.addStored(points)
  }

  /** Renews the view of the last hour. */
  async loadHour() {
    if (this.stream === undefined) return
    const query = { stream: this.stream, from: String(Date.now() - HOUR_MS), limit: '10000' }
    const path = `${this.#path}/readings`
    let answer = await this.#session.get(path, { ...query, ...perWindow('5s') })
    if (!answer.complete) answer = await this.#session.get(path, { ...query, ...perWindow('1m') })
    this.hour = pointsOf(answer.series)
  }

  /**
   * @param {string} field
   * @param {number | boolean | string} value
   * @param {number} time
   * @param {number} arrived
   */
  #takeValue(field, value, time, arrived) {
    const known = this.latest.get(field)
    if (known === undefined || (time >= known.time && time <= arrived + AHEAD_MS)) {
      const isSame = known !== undefined && typeof known.value === typeof value
      const number = typeof known?.value === 'number' ? known : known?.lastNumber
      const lastNumber = typeof value === 'number' ? undefined : number
      this.#setLatest(field, { value, type: isSame ? known.type : typeof value, time, lastNumber })
    }
    if (typeof value === 'number') this.#seriesOf(field)?.add({ time, value, arrived })
  }

  /**
   * @param {string} field
   * @param {Latest} latest
   */
  #setLatest(field, latest) {
    if (this.latest.has(field) || this.latest.size < MAX_FIELDS) this.latest.set(field, latest)
  }

  /** @param {string} field */
  #seriesOf(field) {
    let series = this.series.get(field)
    if (series === undefined && this.series.size < MAX_FIELDS) {
      series = new Series()
      this.series.set(field, series)
    }
    return series
  }
}

/**
 * One value per window: the last one, which every type has.
 * @param {string} interval
 */
function perWindow(interval) {
  return { interval, aggregate: 'last' }
}

/**
 * @param {StoredSeries[]} series
 * @returns {Map<string, Point[]>} numeric fields only
 */
function pointsOf(series) {
  const numeric = series.filter(({ type }) => isNumeric(type))
  return new Map(
    numeric.map(({ field, points }) => [
      field,
      // Integers beyond 2^53 come as strings; for a chart the nearest double is good enough.
      points.map(([time, value]) => ({ time, value: Number(value), arrived: time })),
    ]),
  )
}

/** @param {string} type */
function isNumeric(type) {
  return type === 'float' || type === 'integer' || type === 'number'
}
