import type { RedisLink } from '../../../shared/mesh/redis-link.ts'
import { decodeMessage, type Message } from '../../../shared/sessions/message.ts'
import { DROP } from './scripts.ts'

export interface Queued {
  /** Of the message in Redis; they grow. */
  readonly number: string
  /** It was sent with this id before. */
  readonly messageId: number | undefined
  /** Its PUBREC was received. */
  readonly isReleased: boolean
  readonly message: Message
}

/** Messages that are read together: 1,000 of 64 KB at once would be too much for one client. */
const CHUNK = 50

/**
 * What a session keeps for its client, oldest first, but for the numbers in `known`. What has expired is removed.
 * Error: `redis_unavailable`.
 */
export async function* readQueue(
  link: RedisLink,
  clientId: string,
  known: ReadonlySet<string>,
): AsyncGenerator<Queued> {
  const key = `sluice:queue:${clientId}`
  const all = await link.run((redis) => redis.hkeys(key))
  if (all.length === 0) return
  const ids = await link.run((redis) => redis.hgetall(`sluice:ids:${clientId}`))
  const numbers = all.filter((number) => !known.has(number)).sort((a, b) => Number(a) - Number(b))
  for (let from = 0; from < numbers.length; from += CHUNK) {
    const part = numbers.slice(from, from + CHUNK)
    const values = await link.run((redis) => redis.hmgetBuffer(key, ...part))
    for (const [index, number] of part.entries()) {
      const bytes = values[index]
      // Acknowledged meanwhile.
      if (bytes === null || bytes === undefined) continue
      const message = decodeMessage(bytes)
      const [messageId, isReleased] = (ids[number] ?? '').split(' ')
      if (messageId === '' && message.expiresMs !== undefined && message.expiresMs < Date.now()) {
        await link.eval(DROP, clientId, number)
        continue
      }
      const known = messageId === undefined || messageId === '' ? undefined : Number(messageId)
      yield { number, messageId: known, isReleased: isReleased === 'r', message }
    }
  }
}
