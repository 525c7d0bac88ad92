import { toSluiceError } from '../../../shared/errors.ts'
import type { RedisLink } from '../../../shared/mesh/redis-link.ts'
import { matches, overlaps } from '../../../shared/topic-filter.ts'
import type { Tally } from '../metrics.ts'
import { ELSEWHERE, MAX_RETAINED, placeOf } from '../../../shared/sessions/bounds.ts'
import { RetainedQuota } from '../access/retained-quota.ts'
import { decodeMessage, encodeMessage, type Message } from '../../../shared/sessions/message.ts'
import { RETAIN } from './publish-script.ts'

/** Retained while Redis was down, to be written when it is back: the last of each topic. */
const MAX_OWED = { ...MAX_RETAINED, topics: 10_000, bytes: 16 * 1024 * 1024 }
/** Places or topics that are read together. */
const CHUNK = 500

/**
 * Retained messages in Redis, by place: `t/{tenant}/{device}`, or one for all the rest. A device's own filter reads one
 * place, however many are retained; only filters with wildcards above the device look through the list of places.
 */
export class Retained {
  readonly #link: RedisLink
  readonly #tally: Tally
  readonly #owed = new Map<string, Message>()
  readonly #owedQuota = new RetainedQuota(MAX_OWED)

  constructor(link: RedisLink, tally: Tally) {
    this.#link = link
    this.#tally = tally
  }

  /** False when there is no room for it; while Redis is down it is owed, and written when `settle` is called. */
  async keep(message: Message): Promise<boolean> {
    try {
      return await this.#write(message)
    } catch (error) {
      if (toSluiceError(error).code !== 'redis_unavailable') throw error
      const isOwed = this.#owedQuota.take(message)
      if (isOwed) this.#owed.set(message.topic, message)
      else this.#owed.delete(message.topic)
      return isOwed
    }
  }

  /** Redis is back. Error: `redis_unavailable`. */
  async settle(): Promise<void> {
    for (const [topic, message] of this.#owed) {
      if (!(await this.#write(message))) this.#tally.retainedDropped += 1
      if (this.#owed.get(topic) === message) this.#drop(topic)
    }
  }

  /** Each message once that one of the filters matches. Error: `redis_unavailable`. */
  async *find(filters: readonly string[]): AsyncGenerator<Message> {
    const isWanted = (topic: string): boolean => filters.some((filter) => matches(filter, topic))
    for await (const places of this.#places(filters)) {
      for (const bytes of await this.#read(places)) {
        const message = decodeMessage(bytes)
        if (isWanted(message.topic)) yield message
      }
    }
  }

  async #write(message: Message): Promise<boolean> {
    const { topic, payload } = message
    // The newest is this one.
    if (this.#owed.get(topic) !== message) this.#drop(topic)
    const bytes = payload.length === 0 ? '' : encodeMessage(message)
    const { topics, bytes: most, deviceTopics, deviceBytes } = MAX_RETAINED
    const bounds = [topics, most, deviceTopics, deviceBytes]
    return (await this.#link.eval(RETAIN, placeOf(topic), topic, bytes, ...bounds)) === 1
  }

  #drop(topic: string): void {
    this.#owed.delete(topic)
    this.#owedQuota.leave(topic)
  }

  /** The places in which the filters may find something, some at a time. */
  async *#places(filters: readonly string[]): AsyncGenerator<string[]> {
    const pinned = filters.map(pinnedPlace)
    if (pinned.every((place) => place !== undefined)) return void (yield [...new Set(pinned)])
    let cursor = '0'
    const seen = new Set<string>()
    do {
      const at = cursor
      const [next, names] = await this.#link.run((redis) => redis.sscan('sluice:retained', at, 'COUNT', CHUNK))
      cursor = next
      const fresh = names.filter((name) => !seen.has(name) && filters.some((filter) => mayHold(name, filter)))
      for (const name of fresh) seen.add(name)
      if (fresh.length > 0) yield fresh
    } while (cursor !== '0')
  }

  async #read(places: readonly string[]): Promise<Buffer[]> {
    const all: Buffer[] = []
    for (let from = 0; from < places.length; from += CHUNK) {
      const part = places.slice(from, from + CHUNK)
      const answers = await this.#link.run((redis) =>
        Promise.all(part.map((place) => redis.hvalsBuffer(`sluice:retained:${place}`))),
      )
      for (const values of answers) all.push(...values)
    }
    return all
  }
}

/** The one place that the filter can match in, or undefined when there are several. */
function pinnedPlace(filter: string): string | undefined {
  const [root, tenant, device] = filter.split('/', 3)
  if (isWildcard(root)) return undefined
  if (root !== 't') return ELSEWHERE
  return isWildcard(tenant) || isWildcard(device) ? undefined : placeOf(filter)
}

function isWildcard(level: string | undefined): boolean {
  return level === '+' || level === '#'
}

function mayHold(place: string, filter: string): boolean {
  return place === ELSEWHERE || overlaps(`${place}/#`, filter)
}
