import { recordToDeadLetter } from '../../../../shared/dead-letter.ts'
import type { TelemetryLog } from '../../../../shared/log/port.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import { reservedElements } from '../../../../shared/stamps/reservation.ts'
import { NEW_SLOT, type HeldSlot, type SlotState } from '../../../../shared/stamps/slot.ts'
import { openStamps, type Stamps, type StampsOptions } from '../../../../shared/stamps/stamps.ts'
import { STAMP_STEP } from '../../../../shared/stamps/scheme.ts'
import { compareInstants, toNanoseconds, type LogRecord } from '../../../../shared/telemetry.ts'

export const NOON = 1_767_268_800_000
export const HOUR = 3_600_000

type Log = Pick<TelemetryLog, 'append' | 'offsets' | 'read'>

/** A log of two partitions, as much of it as stamps need. */
export class StampedLog implements Log {
  readonly letters: LogRecord[] = []
  readonly #partitions: LogRecord[][] = [[], []]

  get records(): LogRecord[] {
    return this.#partitions.flat()
  }

  async append(topic: string, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    if (topic === 'telemetry.dead-letter') this.letters.push(...records)
    else for (const record of records) this.#partitions[record.key.length % 2]?.push(record)
    return new Map()
  }

  async offsets() {
    return this.#partitions.map(({ length: end }, partition) => ({ partition, start: 0, end, newest: undefined }))
  }

  async *read({ topic, partition, from, maxRecords }: Parameters<TelemetryLog['read']>[0]) {
    const records = this.#partitions[partition] ?? []
    let firstOffset = records.length
    if (typeof from === 'object' && 'offset' in from) firstOffset = from.offset
    else if (typeof from === 'object') {
      const found = records.findIndex((record) => compareInstants(record, from.time) >= 0)
      firstOffset = found < 0 ? records.length : found
    }
    for (; firstOffset < records.length; firstOffset += maxRecords) {
      yield { topic, log: 'l', partition, firstOffset, records: records.slice(firstOffset, firstOffset + maxRecords) }
    }
  }
}

/** A process that stamps by a clock that tests set. */
export class StampingProcess {
  readonly stamps: Stamps
  readonly #log: StampedLog

  private constructor(stamps: Stamps, log: StampedLog) {
    this.stamps = stamps
    this.#log = log
  }

  static async start(
    clock: { readonly wall: () => number; readonly steady: () => number },
    log: StampedLog,
    hold: () => Promise<HeldSlot>,
    options: Partial<StampsOptions> = {},
  ): Promise<StampingProcess> {
    const surroundings = { logger: createLogger('silent'), metrics: createMetrics({ defaults: false }), node: 'node' }
    const system = { told: () => true }
    const clocks = { now: clock.wall, steady: clock.steady, system }
    const stamps = await openStamps({ ...surroundings, log, hold, ...clocks, ...options })
    return new StampingProcess(stamps, log)
  }

  /** Stamps a message and appends it; undefined when it has to wait. */
  async send(payload: string): Promise<LogRecord | undefined> {
    const value = Buffer.from(payload)
    const { clock } = this.stamps
    if (!clock.stamp(reservedElements(value))) return undefined
    const { ms, ns, scheme } = clock
    const record = { key: ms % 2 === 0 ? 'demo/a' : 'demo/bb', value, ms, ns, scheme, headers: undefined }
    await this.#log.append('telemetry.raw', [record])
    return record
  }

  /** Sends as a device does: again, until it is taken. */
  async sendSoon(payload: string): Promise<LogRecord | undefined> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const record = await this.send(payload)
      if (record !== undefined) return record
      await this.stamps.look()
    }
    return undefined
  }
}

/** As of a slot in a data folder: nobody else can have it. */
export const ALWAYS_HELD = { isAbandoned: false, mayStamp: () => true, keep: async () => undefined }

/** One machine with a data folder, whose clock is set by the test. */
export class Machine {
  readonly log = new StampedLog()
  wall = NOON
  steady = 0
  /** What is on the disk. */
  kept: SlotState = NEW_SLOT
  process!: StampingProcess

  async start(options: Partial<StampsOptions> = {}): Promise<void> {
    const save = async (state: SlotState) => void (this.kept = state)
    const held: HeldSlot = { slot: 0, state: this.kept, ...ALWAYS_HELD, save, giveBack: save }
    const clock = { wall: () => this.wall, steady: () => this.steady }
    this.process = await StampingProcess.start(clock, this.log, async () => held, options)
  }

  pass(ms: number): void {
    this.wall += ms
    this.steady += ms
  }

  /** Sends `count` readings a second apart; where they lie, in seconds from the wall clock. */
  async readings(count: number): Promise<number[]> {
    const offsets: number[] = []
    for (let i = 0; i < count; i++) {
      this.pass(1_000)
      await this.process.stamps.look()
      const record = await this.process.sendSoon('{"v":1}')
      if (record === undefined) throw new Error('a reading was not taken')
      offsets.push((record.ms - this.wall) / 1_000)
    }
    return offsets
  }

  get warnings() {
    return this.log.letters.map((letter) => recordToDeadLetter(letter))
  }
}

/** Pairs of messages that have a time in common. */
export function overlaps(records: readonly LogRecord[]): number {
  const byId = new Map<bigint, { from: bigint; to: bigint }[]>()
  for (const record of records) {
    const from = toNanoseconds(record)
    const id = from % BigInt(STAMP_STEP)
    const to = from + BigInt(reservedElements(record.value) * STAMP_STEP)
    const spans = byId.get(id) ?? []
    byId.set(id, spans)
    spans.push({ from, to })
  }
  let count = 0
  for (const spans of byId.values()) {
    const sorted = spans.toSorted((a, b) => (a.from < b.from ? -1 : 1))
    for (const [i, { to }] of sorted.entries()) if (to > (sorted[i + 1]?.from ?? to)) count += 1
  }
  return count
}
