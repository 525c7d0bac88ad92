import type { LocalTime } from './decoded.ts'

/** Within so much of its receipt a reading was sent when it was made. */
const FRESH_MS = 5 * 60_000
/** What was received longer ago says nothing of the order of what comes now. */
const RECENT_MS = 3_600_000
/** Readings that come so seldom may show one time of the clock twice in a row. */
const SELDOM_MS = 30 * 60_000
/** Going back by a minute, as repeated messages do, is as unlikely as a gap of so many. */
const BACKWARDS = 10

/** Where a run of readings is: time of the last one, when that was received, and how long after the one before it was. */
interface Place {
  at: number
  receivedMs: number
  stepMs: number
}

/** As it is kept: `[at, received, step]` of what came as it was made, the same of what came late, and which was last. */
export type WrittenOrder = readonly [live: readonly number[], late: readonly number[], last: 0 | 1]

/**
 * Chooses of two instants which a local time means that the clocks of its zone show twice. What comes as it was made is the
 * one nearer to its receipt. What comes late goes on where the readings before it were: forward, by as little as can be.
 * Readings of one stream, in the order of the log; what it answers follows from them alone.
 */
export class LocalOrder {
  #live: Place | undefined
  #late: Place | undefined
  #isLate = false

  /** Inverse of {@link write}. */
  static read([live, late, last]: WrittenOrder): LocalOrder {
    const order = new LocalOrder()
    order.#live = placeOf(live)
    order.#late = placeOf(late)
    order.#isLate = last === 1
    return order
  }

  write(): WrittenOrder {
    return [numbersOf(this.#live), numbersOf(this.#late), this.#isLate ? 1 : 0]
  }

  clear(): void {
    this.#live = undefined
    this.#late = undefined
    this.#isLate = false
  }

  /** `first` and `second` in ms since 1970, in this order; `isRepeat`: the client says that it may have sent it before. */
  choose(first: number, second: number, receivedMs: number, isRepeat = false): number {
    if (first === second) return first
    const nearer = Math.abs(first - receivedMs) <= Math.abs(second - receivedMs) ? first : second
    const isFresh = Math.abs(nearer - receivedMs) <= FRESH_MS
    if (isFresh && !this.#isLate) return nearer
    let chosen = nearer
    let least = Infinity
    for (const place of this.#before(receivedMs, isFresh)) {
      for (const at of [first, second]) {
        const cost = costOf(at, place, isRepeat)
        if (cost >= least) continue
        least = cost
        chosen = at
      }
    }
    return chosen
  }

  /** A reading has this time. */
  note(at: number, receivedMs: number): void {
    this.#isLate = Math.abs(at - receivedMs) > FRESH_MS
    const [before] = this.#before(receivedMs, !this.#isLate)
    const stepMs = before === undefined || at === before.at ? (before?.stepMs ?? 0) : at - before.at
    if (this.#isLate) this.#late = { at, receivedMs, stepMs }
    else this.#live = { at, receivedMs, stepMs }
  }

  /** Where a reading may go on: what comes late where others did lately, else where everything stopped. */
  #before(receivedMs: number, isFresh: boolean): readonly Place[] {
    const isRecent = (place: Place | undefined): place is Place =>
      place !== undefined && Math.abs(receivedMs - place.receivedMs) <= RECENT_MS
    const recent = (isFresh ? [this.#late, this.#live] : [this.#late]).filter(isRecent)
    if (recent.length > 0) return recent
    return this.#live === undefined ? [] : [this.#live]
  }
}

function costOf(at: number, place: Place, isRepeat: boolean): number {
  const step = at - place.at
  if (step > 0) return step
  if (isRepeat) return -step
  return place.stepMs >= SELDOM_MS ? Infinity : -step * BACKWARDS
}

function placeOf([at, receivedMs, stepMs]: readonly number[]): Place | undefined {
  return at === undefined || receivedMs === undefined || stepMs === undefined ? undefined : { at, receivedMs, stepMs }
}

function numbersOf(place: Place | undefined): readonly number[] {
  return place === undefined ? [] : [place.at, place.receivedMs, place.stepMs]
}

/** The local times of a payload, and of its reading in progress. */
export class PayloadLocals {
  readonly #order = new LocalOrder()
  /** Near a change of the clocks; undefined for none. */
  ofReading: LocalTime[] | undefined

  /** Another payload begins. */
  clear(): void {
    this.#order.clear()
  }

  choose(first: number, second: number, receivedMs: number): number {
    return this.#order.choose(first, second, receivedMs)
  }

  /** A reading has this time. */
  note(local: LocalTime, receivedMs: number): void {
    this.#order.note(local.ms, receivedMs)
    ;(this.ofReading ??= []).push(local)
  }
}
