import type { Client } from 'aedes'
import { fromNowOn, willDelayOf } from '../mqtt/message-properties.ts'
import { internalsOf } from './aedes-internals.ts'
import type { WithProperties } from './payload-properties.ts'

/** Wills that wait; beyond it one is published at once. Each holds its message, about a kilobyte. */
const MAX_WAITING = 10_000
/** The longest that a timer counts. */
const MAX_DELAY_SECONDS = 2_000_000

/** Wills of MQTT 5 that give their client time to come back [MQTT 5.0, 3.1.3.2.2]; in a cluster they wait in Redis. */
export class WillDelay {
  readonly #waiting = new Map<NodeJS.Timeout, () => void>()

  /** Calls `fire` when the will is due, or `drop` when the client is back by then. */
  hold(client: Client, will: WithProperties, fire: () => void, drop: () => void): void {
    const { properties } = will
    const due = (): void => {
      if (isBack(client)) return drop()
      if (properties !== undefined) will.properties = fromNowOn(properties)
      fire()
    }
    const seconds = Math.min(willDelayOf(will), MAX_DELAY_SECONDS)
    if (seconds === 0 || this.#waiting.size >= MAX_WAITING) return due()
    const timer = setTimeout(() => {
      this.#waiting.delete(timer)
      due()
    }, seconds * 1000)
    this.#waiting.set(timer, due)
  }

  /** Those that wait are published now: no client comes back to this process. */
  close(): void {
    for (const [timer, due] of this.#waiting) {
      clearTimeout(timer)
      due()
    }
    this.#waiting.clear()
  }
}

/** Another connection has its client id, on this node. */
function isBack(client: Client): boolean {
  const { broker, id } = internalsOf(client)
  const current = broker.clients[id]
  return current !== undefined && current !== client
}
