import type { Message } from '../../shared/sessions/message.ts'
import type { SessionStore, SessionWish, SharedMessage } from '../../shared/sessions/port.ts'

export interface SessionsHarness {
  readonly store: SessionStore
  /** `principal topic payload` of wills that were published. */
  readonly wills: readonly string[]
  /** `client id payload QoS` of messages for members of groups that are connected. */
  readonly shared: readonly string[]
  /** As after the end of the process, or on another node; what was opened before is closed. */
  reopen(): Promise<SessionsHarness>
}

export type MakeSessionsHarness = (options?: { maxSessions?: number }) => Promise<SessionsHarness>

export const KEPT: SessionWish = { clean: false, expiry: undefined }
export const CLEAN: SessionWish = { clean: true, expiry: 0 }
export const ME = 'a/1/me'
export const APP = 'app//me'

export function message(topic: string, payload: string, more: Partial<Message> = {}): Message {
  return { topic, payload: Buffer.from(payload), qos: 1, retain: false, expiresMs: undefined, ...more }
}

/** What `shared` of a harness lists. */
export function shownShared({ clientId, message: { payload, qos } }: SharedMessage): string {
  return `${clientId} ${payload.toString()} ${qos}`
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

export async function retainedBelow(store: SessionStore, ...filters: string[]): Promise<string[]> {
  return (await all(store.retained(filters))).map(({ topic, payload }) => `${topic} ${payload.toString()}`).toSorted()
}

/** A session with a subscription, whose client is away. */
export async function away(store: SessionStore, clientId: string, filter: string, wish = KEPT): Promise<void> {
  const lease = await store.claim(clientId, wish)
  await store.subscribe(lease, [{ topic: filter, qos: 1 }])
  store.release(lease)
}
