import { fromNowOn } from '../../mqtt/message-properties.ts'
import type { Message } from '../message.ts'
import { NOTHING_LEFT, type Left } from '../port.ts'

/** What the thread answers, as the port says it. */

/** A will lives from when it is published. */
export function publishedNow(will: Message): Message {
  if (will.properties?.will === undefined) return will
  const properties = fromNowOn(will.properties)
  return { ...will, properties, expiresMs: properties.expiresAt }
}

/** Of packet ids and digests by turns. */
export function leftIn(inLog: readonly number[]): Left {
  if (inLog.length === 0) return NOTHING_LEFT
  const unreleased = new Map<number, number>()
  for (let at = 0; at < inLog.length; at += 2) unreleased.set(inLog[at] ?? 0, inLog[at + 1] ?? 0)
  return { epoch: undefined, unreleased }
}

/** The same bytes. */
export function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
