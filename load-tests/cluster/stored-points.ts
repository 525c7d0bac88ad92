import { setTimeout as delay } from 'node:timers/promises'

const ASK_EVERY_MS = 50

/**
 * What an InfluxDB has stored since its start, in lines: by its own count, so that it costs the same whoever writes. A
 * reading is one line in all that is measured here, and one that is written twice counts twice.
 */
export class StoredPoints {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  async count(): Promise<number> {
    const response = await fetch(`${this.#url}/metrics`)
    return sumOf(await response.text(), 'storage_writer_ok_points_sum')
  }

  /** Resolves when the count has reached `target`; rejects when nothing has been stored for `patienceMs`. */
  async reach(target: number, patienceMs: number): Promise<void> {
    let before = await this.count()
    let changedAt = performance.now()
    for (let now = before; now < target; now = await this.count()) {
      if (now !== before) changedAt = performance.now()
      before = now
      if (performance.now() - changedAt > patienceMs) {
        throw new Error(`${target - now} readings are not stored, and none has been for ${patienceMs / 1000} s`)
      }
      await delay(ASK_EVERY_MS)
    }
  }

  /** Resolves when nothing has been stored for `ms`. */
  async rest(ms: number): Promise<void> {
    for (let before = -1, now = await this.count(); now !== before; now = await this.count()) {
      before = now
      await delay(ms)
    }
  }
}

/** The sum over all labels of a metric in the text format of Prometheus. */
export function sumOf(text: string, name: string): number {
  let sum = 0
  for (const line of text.split('\n')) {
    if (!line.startsWith(name) || !['{', ' '].includes(line.charAt(name.length))) continue
    sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}
