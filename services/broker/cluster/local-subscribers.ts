import type { Message } from '../../../shared/sessions/message.ts'

/** What this node does with what others send it. */
export interface LocalSubscribers {
  /** Clients that aedes knows. */
  clients(): number
  /** To the subscribers here; `number` is that of a stored message, else 0. */
  deliver(message: Message, number: number, done: () => void): void
  /** Telemetry for subscribers here. */
  copy(topic: string, payload: Uint8Array): void
  /** Telemetry for a member of a group. */
  copyTo(topic: string, payload: Uint8Array, clientId: string): void
  /**
   * Publishes the will of a client that cannot do it itself any more, if it still may; false when that is left to other
   * nodes, because this one ends. Errors: `redis_unavailable`, `registry_unavailable`.
   */
  publishWill(will: Message, principal: string): Promise<boolean>
  /** Hands out what sessions here hold in Redis and were not given. Error: `redis_unavailable`. */
  redeliver(): Promise<void>
}
