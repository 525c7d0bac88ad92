import type { StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { matches } from '../../topic-filter.ts'
import { ELSEWHERE, placeOf, type RetainedBounds } from '../bounds.ts'
import type { Calls } from './messages.ts'
import { behind, checkedBytes } from './rows.ts'
import type { Transaction } from './transaction.ts'

/** Of one answer. A scan of 100,000 topics shall not keep others waiting. */
const CHUNK = { messages: 500, bytes: 1024 * 1024, topics: 20_000 }

interface Used {
  topics: number
  bytes: number
}

/** Retained messages, by topic. */
export class RetainedTable {
  readonly #transaction: Transaction
  readonly #bounds: RetainedBounds
  readonly #length: StatementSync
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #get: StatementSync
  readonly #topics: StatementSync
  readonly #used: StatementSync
  readonly #total: StatementSync
  readonly total: Used = { topics: 0, bytes: 0 }

  constructor(transaction: Transaction, bounds: RetainedBounds) {
    const { db } = transaction
    this.#transaction = transaction
    this.#bounds = bounds
    const used = 'SELECT count(*) AS topics, total(length(message)) AS bytes FROM retained'
    this.#length = db.prepare('SELECT length(message) AS bytes FROM retained WHERE topic = ?')
    this.#put = db.prepare(
      `INSERT INTO retained (topic, crc, message) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET crc = excluded.crc, message = excluded.message`,
    )
    this.#remove = db.prepare('DELETE FROM retained WHERE topic = ?')
    this.#get = db.prepare('SELECT crc, message FROM retained WHERE topic = ?')
    this.#topics = db.prepare('SELECT topic FROM retained WHERE topic >= ? AND topic < ? ORDER BY topic')
    this.#used = db.prepare(`${used} WHERE topic = ? OR topic > ? AND topic < ?`)
    this.#total = db.prepare(used)
    this.load()
  }

  /** Reads what is in memory again, after changes were undone. */
  load(): void {
    Object.assign(this.total, usedOf(this.#total.get()))
  }

  /** In place of what the topic had, which is gone in any case; false when there is no room. */
  keep({ topic, bytes, isAwaited }: Calls['keep']['ask']): boolean {
    const length = this.#length.get(topic)?.['bytes']
    const old = length === undefined ? undefined : Number(length)
    const fits = bytes !== undefined && this.#fits(topic, bytes.length, old)
    if (old === undefined && !fits) return bytes === undefined
    if (isAwaited) this.#transaction.now()
    else this.#transaction.soon()
    if (fits) this.#put.run(topic, crc32(bytes), bytes)
    else this.#remove.run(topic)
    this.total.topics += (fits ? 1 : 0) - (old === undefined ? 0 : 1)
    this.total.bytes += (fits ? bytes.length : 0) - (old ?? 0)
    return fits || bytes === undefined
  }

  find({ filters, from }: Calls['retained']['ask']): Calls['retained']['answer'] {
    const messages: Uint8Array[] = []
    const prefixes = filters.map(literalPrefix)
    const [first = ''] = prefixes.toSorted(compareBytes)
    const end = prefixes.map(behind).toSorted(compareBytes).at(-1) ?? ''
    let [scanned, total, damaged] = [0, 0, 0]
    for (const row of this.#topics.iterate(from === '' ? first : from, end)) {
      const topic = String(row['topic'])
      scanned += 1
      if (filters.some((filter) => matches(filter, topic))) {
        const bytes = checkedBytes(this.#get.get(topic) ?? {})
        if (bytes === undefined) damaged += 1
        else {
          messages.push(bytes)
          total += bytes.length
        }
      }
      const isFull = messages.length >= CHUNK.messages || total >= CHUNK.bytes || scanned >= CHUNK.topics
      // No topic has this character: it comes next before any other.
      if (isFull) return { messages, next: `${topic}\0`, damaged }
    }
    return { messages, next: undefined, damaged }
  }

  /** Those of a device. */
  removeAll(place: string): void {
    this.#transaction.now()
    const topics = this.#topics.all(`${place}/`, behind(`${place}/`)).map((row) => String(row['topic']))
    for (const topic of [place, ...topics]) this.#remove.run(topic)
    this.load()
  }

  #fits(topic: string, bytes: number, old: number | undefined): boolean {
    // Whatever the bounds were when the old one came.
    if (old !== undefined && bytes <= old) return true
    const { topics, bytes: most, deviceTopics, deviceBytes } = this.#bounds
    const [isNew, more] = [old === undefined ? 1 : 0, bytes - (old ?? 0)]
    if (this.total.topics + isNew > topics || this.total.bytes + more > most) return false
    const place = placeOf(topic)
    if (place === ELSEWHERE) return true
    const used = usedOf(this.#used.get(place, `${place}/`, behind(`${place}/`)))
    return used.topics + isNew <= deviceTopics && used.bytes + more <= deviceBytes
  }
}

function usedOf(row: Record<string, unknown> | undefined): Used {
  return { topics: Number(row?.['topics']), bytes: Number(row?.['bytes']) }
}

/** What every topic begins with that the filter matches. */
function literalPrefix(filter: string): string {
  const wildcard = filter.search(/[+#]/)
  if (wildcard === -1) return filter
  // `a/#` matches `a` as well.
  return filter.slice(0, wildcard).replace(/\/$/, '')
}

/** As SQLite compares texts. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
