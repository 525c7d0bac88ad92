import { randomUUID } from 'node:crypto'
import { SluiceError } from '../../../../shared/errors.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { createMetrics, type Metrics } from '../../../../shared/process/metrics.ts'
import type { SlotChange, StampSlot, StampSlots } from '../../../../shared/registry/stamp-slots-port.ts'
import { SlotLeases } from '../../../../shared/stamps/slot-lease.ts'
import type { HeldSlot } from '../../../../shared/stamps/slot.ts'
import { openStamps, type Stamps } from '../../../../shared/stamps/stamps.ts'
import { reservedElements } from '../../../../shared/stamps/reservation.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { NOON, StampedLog } from './stamping.ts'

const UNUSED = { holder: '', lease: '', claim: '', claimedMs: 0, state: '', renewedMs: 0, isGivenBack: false }

/** The slots as the registry keeps them, by a clock that tests set. */
export class ModelSlots implements StampSlots {
  rows: readonly StampSlot[] = Array.from({ length: 64 }, (_, slot) => ({ slot, ...UNUSED }))
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  async change<T>(change: SlotChange<T>): Promise<T> {
    const { write, result } = change(this.rows, this.#now())
    if (write !== undefined) this.rows = this.rows.map((row) => (row.slot === write.slot ? write : row))
    return result
  }

  async read(slot: number): Promise<StampSlot | undefined> {
    return this.rows[slot]
  }
}

export type Hold = (leases: SlotLeases, signal?: AbortSignal) => Promise<HeldSlot>
const ONE_ATTEMPT: Hold = (leases, signal) => leases.take(randomUUID(), signal)

/** A process of a cluster, with a clock of its own. */
export class ModelProcess implements StampSlots {
  readonly name: string
  readonly metrics: Metrics = createMetrics({ defaults: false })
  /** How far its clock is ahead of the time. */
  ahead: number
  /** It does not reach the registry. */
  isCut = false
  stamps: Stamps | undefined
  readonly #world: World

  constructor(name: string, world: World, ahead: number) {
    this.name = name
    this.#world = world
    this.ahead = ahead
  }

  get wall(): number {
    return this.#world.time + this.ahead
  }

  get slot(): number {
    return this.#world.slots.rows.findIndex(({ holder }) => holder === this.name)
  }

  async open(hold: Hold): Promise<void> {
    const [now, steady] = [() => this.wall, () => this.#world.time]
    const surroundings = { logger: createLogger('silent'), metrics: this.metrics, now, steady }
    const wait = (ms: number, signal?: AbortSignal) => this.#world.until(this.#world.time + ms, signal)
    const leases = new SlotLeases({ ...surroundings, slots: this, name: this.name, wait })
    const { log, isBlind } = this.#world
    const offsets: typeof log.offsets = async () => (isBlind ? [] : log.offsets())
    const seen = { append: log.append.bind(log), read: log.read.bind(log), offsets }
    const options = { ...surroundings, log: seen, node: this.name }
    this.stamps = await openStamps({ ...options, hold: ({ signal }) => hold(leases, signal) })
  }

  async change<T>(change: SlotChange<T>): Promise<T> {
    this.#reach()
    return this.#world.slots.change(change)
  }

  async read(slot: number): Promise<StampSlot | undefined> {
    this.#reach()
    return this.#world.slots.read(slot)
  }

  /** Stamps a message and appends it, unless it has to wait. */
  async send(elements = 1): Promise<LogRecord | undefined> {
    const value = Buffer.from(elements === 1 ? '{"v":1}' : `[${'{"v":1},'.repeat(elements).slice(0, -1)}]`)
    const clock = this.stamps?.clock
    if (clock?.stamp(reservedElements(value)) !== true) return undefined
    const { ms, ns, scheme } = clock
    const record = { key: ms % 2 === 0 ? 'demo/a' : 'demo/bb', value, ms, ns, scheme, headers: undefined }
    await this.#world.log.append('telemetry.raw', [record])
    return record
  }

  #reach(): void {
    if (this.isCut || this.#world.isAway) throw new SluiceError('registry_unavailable', 'as the test wants it')
  }
}

/** Processes, a registry and a log, while time passes as tests say. */
export class World {
  time = NOON
  /** How far the clock of the database is ahead. */
  databaseAhead = 0
  isAway = false
  /** What lies in the log is not seen by those that start. */
  isBlind = false
  readonly log = new StampedLog()
  readonly slots = new ModelSlots(() => this.time + this.databaseAhead)
  readonly live = new Set<ModelProcess>()
  #waits: { readonly at: number; readonly resolve: () => void }[] = []

  until(at: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (signal?.aborted === true) resolve()
    signal?.addEventListener('abort', () => resolve(), { once: true })
    this.#waits.push({ at, resolve })
    return promise
  }

  async pass(ms: number, step = 1_000): Promise<void> {
    for (const end = this.time + ms; this.time < end;) {
      this.time = Math.min(end, this.time + step)
      for (const { resolve } of this.#waits.filter(({ at }) => at <= this.time)) resolve()
      this.#waits = this.#waits.filter(({ at }) => at > this.time)
      await Promise.all([...this.live].map(async (process) => process.stamps?.look()))
      await settled()
    }
  }

  /** Rejects with why the process has no slot. */
  async start(name: string, { ahead = 0, hold = ONE_ATTEMPT } = {}): Promise<ModelProcess> {
    const process = new ModelProcess(name, this, ahead)
    let isSettled = false
    const opening = process.open(hold).finally(() => (isSettled = true))
    const outcome = Promise.allSettled([opening])
    await settled()
    for (let second = 0; second < 30 && !isSettled; second++) await this.pass(1_000)
    await outcome
    await opening
    this.live.add(process)
    return process
  }

  async stop(process: ModelProcess): Promise<void> {
    this.live.delete(process)
    await process.stamps?.close()
  }

  /** kill -9. */
  kill(process: ModelProcess): void {
    this.live.delete(process)
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
