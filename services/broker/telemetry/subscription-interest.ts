import { contains, matches, overlaps } from '../../../shared/topic-filter.ts'

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

/** What applications subscribe to. Without a subscription to telemetry, asking costs one comparison. */
export class SubscriptionInterest {
  readonly #all = new Map<string, number>()
  readonly #telemetry = new Set<string>()
  readonly #answers = new Map<string, boolean>()
  readonly #onChange: (filter: string, isWanted: boolean) => void

  /** `onChange` is told when a filter gets its first subscription and when it loses its last. */
  constructor(onChange: (filter: string, isWanted: boolean) => void = () => undefined) {
    this.#onChange = onChange
  }

  /** There is no subscription to telemetry. */
  get isNone(): boolean {
    return this.#telemetry.size === 0
  }

  /** Counts a subscription; each `add` needs its `remove`. */
  add(filter: string): void {
    const count = this.#all.get(filter) ?? 0
    this.#all.set(filter, count + 1)
    if (count > 0) return
    if (canMatchTelemetry(filter)) this.#telemetry.add(filter)
    this.#answers.clear()
    this.#onChange(filter, true)
  }

  remove(filter: string): void {
    const count = this.#all.get(filter) ?? 0
    if (count > 1) return void this.#all.set(filter, count - 1)
    if (!this.#all.delete(filter)) return
    this.#telemetry.delete(filter)
    this.#answers.clear()
    this.#onChange(filter, false)
  }

  /** True when some subscription matches the telemetry topic. */
  matches(topic: string): boolean {
    const known = this.#answers.get(topic)
    if (known !== undefined) return known
    let answer = false
    for (const filter of this.#telemetry) {
      if (!matches(filter, topic)) continue
      answer = true
      break
    }
    if (this.#answers.size >= MAX_REMEMBERED) this.#answers.clear()
    this.#answers.set(topic, answer)
    return answer
  }
}
