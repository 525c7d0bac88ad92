import { contains, matches, overlaps } from '../../shared/topic-filter.ts'

/** All that telemetry topics can be; a filter within it matches nothing else. */
const BELOW_TELEMETRY = 't/+/+/telemetry/#'
const WITH_STREAM = 't/+/+/telemetry/+'
const DEFAULT_STREAM = 't/+/+/telemetry'

/** Topics whose answer is remembered; more of them are asked again. */
const MAX_REMEMBERED = 10_000

/** True for a filter that matches telemetry and nothing else: SUBACK grants it QoS 0. */
export function isTelemetryOnly(filter: string): boolean {
  return contains(BELOW_TELEMETRY, filter)
}

/** True for a filter that matches some telemetry topic. */
export function canMatchTelemetry(filter: string): boolean {
  return overlaps(filter, WITH_STREAM) || overlaps(filter, DEFAULT_STREAM)
}

/** Which telemetry topics have a subscriber. While nobody subscribes, asking costs one comparison. */
export class Interest {
  readonly #filters = new Map<string, number>()
  readonly #answers = new Map<string, boolean>()

  get isNone(): boolean {
    return this.#filters.size === 0
  }

  /** Counts a subscription; each `add` needs its `remove`. */
  add(filter: string): void {
    this.#filters.set(filter, (this.#filters.get(filter) ?? 0) + 1)
    this.#answers.clear()
  }

  remove(filter: string): void {
    const count = this.#filters.get(filter) ?? 0
    if (count > 1) this.#filters.set(filter, count - 1)
    else this.#filters.delete(filter)
    this.#answers.clear()
  }

  /** True when some subscription matches the telemetry topic. */
  matches(topic: string): boolean {
    const known = this.#answers.get(topic)
    if (known !== undefined) return known
    let answer = false
    for (const filter of this.#filters.keys()) {
      if (!matches(filter, topic)) continue
      answer = true
      break
    }
    if (this.#answers.size >= MAX_REMEMBERED) this.#answers.clear()
    this.#answers.set(topic, answer)
    return answer
  }
}
