import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import { SluiceError, toSluiceError } from '../../errors.ts'
import { compareInstants, type Instant } from '../../telemetry.ts'
import type { PartitionLag, PartitionOffsets } from '../port.ts'
import type { KafkaClient } from './client.ts'
import { type CommitNote, readNote } from './commit-note.ts'
import { KafkaCode, partitionError } from './kafka-error.ts'
import type { Run } from './record-batch.ts'
import type { TopicRetention } from './topic-settings.ts'
import { type Backlog, horizonOf, sizesRequest } from './horizon.ts'
import { listOffsets, runsOf } from './listed-offsets.ts'
import { fetchRequest, ListedTime, type ListedOffset } from './requests.ts'

/** A question is repeated this often while leaders move: with the pauses between, 7 s. */
const ATTEMPTS = 24
/** Enough for one batch; whole batches come in any case. */
const PEEK_BYTES = 16 * 1024
/** Records of the same millisecond as the newest one are looked through for this many answers. */
const NEWEST_ANSWERS = 8
const MAX_NS = 999_999

export interface Committed extends CommitNote {
  readonly offset: number
}

interface At {
  readonly partition: number
  readonly offset: number
}

/** Questions about where a topic begins and ends, where a time lies in it, and how far groups are. */
export class Positions {
  readonly #client: KafkaClient

  constructor(client: KafkaClient) {
    this.#client = client
  }

  /** Name of the log that the topic is, see `LogBatch.log`. */
  async log(topic: string): Promise<string> {
    return (await this.#client.topicId(topic)) ?? ''
  }

  /** First and next offset of each of the partitions. */
  async bounds(topic: string, partitions: readonly number[]): Promise<Map<number, { start: number; end: number }>> {
    const [starts, ends] = await Promise.all([
      this.#list(topic, partitions, ListedTime.start),
      this.#list(topic, partitions, ListedTime.end),
    ])
    return new Map(
      partitions.map((partition) => [partition, { start: of(starts, partition), end: of(ends, partition) }]),
    )
  }

  /** Offset of the first record at or after a time in ms; undefined when there is none. */
  async seek(topic: string, partition: number, ms: number): Promise<number | undefined> {
    const found = await this.#list(topic, [partition], ms)
    const offset = of(found, partition)
    return offset < 0 ? undefined : offset
  }

  /** Receive time, in ms, of the first record at or behind an offset; undefined where there is none. */
  async receiveMs(topic: string, partition: number, offset: number): Promise<number | undefined> {
    const runs = await this.#peek(topic, [{ partition, offset }])
    return runs.get(partition)?.[0]?.records[0]?.ms
  }

  async offsets(topic: string, partitions: readonly number[]): Promise<PartitionOffsets[]> {
    const [bounds, newest] = await Promise.all([
      this.bounds(topic, partitions),
      this.#list(topic, partitions, ListedTime.newest),
    ])
    const instants = await this.#newestInstants(
      topic,
      [...newest.values()].filter(({ offset }) => offset >= 0),
    )
    return partitions.map((partition) => {
      const { start, end } = bounds.get(partition) ?? { start: 0, end: 0 }
      return { partition, start, end, newest: instants.get(partition) }
    })
  }

  /** Of the partitions that the group has committed in, with what was noted there. */
  async committed(topic: string, group: string, partitions: readonly number[]): Promise<Map<number, Committed>> {
    const { responses } = await this.#client.atCoordinator(group, (broker) =>
      broker.offsetFetch({
        groupId: group,
        topics: [{ topic, partitions: partitions.map((partition) => ({ partition })) }],
      }),
    )
    const found = responses.flatMap((response) => response.partitions)
    return new Map(
      found
        .filter(({ offset }) => Number(offset) >= 0)
        .map(({ partition, offset, metadata }) => [partition, { offset: Number(offset), ...readNote(metadata) }]),
    )
  }

  /** `retention` is that of a partition. */
  async lag(
    topic: string,
    group: string,
    partitions: readonly number[],
    retention: TopicRetention,
  ): Promise<PartitionLag[]> {
    const [bounds, committed] = await Promise.all([
      this.bounds(topic, partitions),
      this.committed(topic, group, partitions),
    ])
    const places = partitions.map((partition) => {
      const { start, end } = bounds.get(partition) ?? { start: 0, end: 0 }
      const known = committed.get(partition)?.offset
      return { partition, committed: known ?? start, start, end, oldest: Math.max(known ?? start, start) }
    })
    const behind = places.filter(({ oldest, end }) => oldest < end)
    const waiting = behind.map(({ partition, oldest: offset }) => ({ partition, offset }))
    const [oldest, sizes] = await Promise.all([
      this.#peek(topic, waiting),
      retention.bytes === undefined ? new Map<number, number>() : this.#sizes(topic, waiting),
    ])
    const now = Date.now()
    return places.map(({ partition, committed: own, start, end, oldest: next }) => {
      const first = oldest.get(partition)?.[0]?.records[0]
      if (first === undefined) return { partition, committed: own, end, records: Math.max(0, end - next), seconds: 0 }
      const seconds = Math.max(0, (now - first.ms) / 1000)
      const size = sizes.get(partition)
      const share = (end - next) / Math.max(1, end - start)
      const backlog: Backlog = { seconds, bytes: size === undefined ? undefined : size * share }
      return { partition, committed: own, end, records: end - next, seconds, horizon: horizonOf(retention, backlog) }
    })
  }

  /** Bytes of the partitions, where their leaders tell them. */
  async #sizes(topic: string, places: readonly At[]): Promise<Map<number, number>> {
    const sizes = new Map<number, number>()
    await this.#askLeaders(topic, places, async (node, wanted) => {
      const asked = wanted.map(({ partition }) => partition)
      for (const { partition, bytes } of await this.#client.send(node, sizesRequest(topic, asked))) {
        sizes.set(partition, bytes)
      }
      return asked
    })
    return sizes
  }

  /**
   * The newest receive time, to the nanosecond. Kafka knows its millisecond and the first record of it; the others of the
   * same millisecond follow at once, or nearly so when several nodes write.
   */
  async #newestInstants(topic: string, newest: readonly ListedOffset[]): Promise<Map<number, Instant>> {
    const found = new Map(newest.map(({ partition, ms }): [number, Instant] => [partition, { ms, ns: 0 }]))
    let due: At[] = [...newest]
    for (let answers = 0; due.length > 0 && answers < NEWEST_ANSWERS; answers++) {
      const peeked = await this.#peek(topic, due)
      const next: At[] = []
      for (const { partition } of due) {
        const records = (peeked.get(partition) ?? []).flatMap((run) => run.records)
        const last = peeked.get(partition)?.at(-1)
        let best = found.get(partition) ?? { ms: 0, ns: 0 }
        for (const { ms, ns } of records) if (compareInstants({ ms, ns }, best) > 0) best = { ms, ns }
        found.set(partition, best)
        if (last !== undefined && records.at(-1)?.ms === best.ms) {
          next.push({ partition, offset: last.firstOffset + last.records.length })
        }
      }
      due = next
    }
    // Too many of one millisecond to look through: its end is late enough for whoever goes on behind it.
    for (const { partition } of due) found.set(partition, { ms: found.get(partition)?.ms ?? 0, ns: MAX_NS })
    return found
  }

  /** The first records at each place; none for a place at the end. */
  async #peek(topic: string, places: readonly At[]): Promise<Map<number, Run[]>> {
    const found = new Map<number, Run[]>()
    await this.#askLeaders(topic, places, async (node, wanted) => {
      const limits = { maxWaitMs: 0, maxBytes: PEEK_BYTES * wanted.length, partitionBytes: PEEK_BYTES }
      const requests = wanted.map((one) => ({ topic, ...one }))
      for (const { partition, code, bytes } of await this.#client.send(node, fetchRequest(requests, limits))) {
        if (code !== KafkaCode.none && code !== KafkaCode.offsetOutOfRange) throw partitionError(code, 'a fetch')
        const place = wanted.find((one) => one.partition === partition)
        if (place !== undefined) found.set(partition, runsOf(bytes, place.offset))
      }
      return wanted.map(({ partition }) => partition)
    })
    return found
  }

  async #list(topic: string, partitions: readonly number[], time: number): Promise<Map<number, ListedOffset>> {
    const found = new Map<number, ListedOffset>()
    const places = partitions.map((partition) => ({ partition, offset: 0 }))
    await this.#askLeaders(topic, places, async (node, wanted) => {
      const asked = wanted.map(({ partition }) => partition)
      const question = { topic, partitions: asked, time }
      for (const result of await listOffsets(this.#client, node, question)) found.set(result.partition, result)
      return asked
    })
    return found
  }

  /** Asks every leader about its partitions, and again about those that moved in the meantime. */
  async #askLeaders(
    topic: string,
    places: readonly At[],
    ask: (node: number, wanted: readonly At[]) => Promise<readonly number[]>,
  ): Promise<void> {
    const open = new Map(places.map((place) => [place.partition, place]))
    for (let attempt = 1; open.size > 0; attempt++) {
      const leaders = await this.#client.byLeader(topic, open.values())
      const answers = await Promise.allSettled(Array.from(leaders, ([node, wanted]) => ask(node, wanted)))
      for (const answer of answers) {
        if (answer.status === 'fulfilled') for (const partition of answer.value) open.delete(partition)
      }
      if (open.size === 0) return
      const refused = answers.find((answer) => answer.status === 'rejected')
      const failure =
        refused === undefined
          ? new SluiceError('log_unavailable', `partitions of ${topic} have no leader`)
          : toSluiceError(refused.reason, 'log_unavailable')
      if (attempt >= ATTEMPTS || !failure.canRetry || failure.code === 'closed') throw failure
      await pause(backoffMs(BACKOFF.positions, attempt))
      await this.#client.refresh()
    }
  }
}

function of(listed: ReadonlyMap<number, ListedOffset>, partition: number): number {
  return listed.get(partition)?.offset ?? 0
}
