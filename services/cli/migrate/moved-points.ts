import { storedType } from '../../../shared/points/aggregate.ts'
import type { DeviceOfPoints, PointPage, PointStore } from '../../../shared/points/port.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import type { FieldType, PointBatch, PointValue, Series } from '../../../shared/telemetry.ts'
import type { Differences, Step } from './migration-ports.ts'
import type { Progress, ProgressState } from './progress.ts'
import { PlainTypes } from './plain-types.ts'
import { persist } from './retry.ts'

/** Devices asked for at a time. */
const DEVICES = 1_000
/** Points of one page; of fields that hold texts fewer, for one text may have 64 KiB. */
const PAGE_POINTS = { numbers: 10_000, texts: 1_000 }
/** Points of one write. Many devices with few points each go together. */
const WRITE_POINTS = 10_000

/** Every device that has points, a page at a time, behind the one given. */
export async function* devicesOf(
  points: PointStore,
  after: DeviceOfPoints | undefined,
): AsyncGenerator<readonly DeviceOfPoints[]> {
  for (let last = after; ;) {
    const page = await points.devices({ after: last, limit: DEVICES })
    if (page.length > 0) yield page
    if (page.length < DEVICES) return
    last = page.at(-1)
  }
}

export interface StreamOfDevice extends DeviceOfPoints {
  readonly stream: string
  /** Of all its fields. */
  readonly types: ReadonlySet<FieldType>
  readonly fields: ReadonlySet<string>
}

/** Streams of a device with their fields and types, in the store's order. */
export async function streamsOf(points: PointStore, { tenant, device }: DeviceOfPoints): Promise<StreamOfDevice[]> {
  const streams = new Map<string, { types: Set<FieldType>; fields: Set<string> }>()
  for (const { stream, field, type } of await points.series(tenant, device)) {
    const known = streams.get(stream) ?? { types: new Set(), fields: new Set() }
    known.types.add(type)
    known.fields.add(field)
    streams.set(stream, known)
  }
  return Array.from(streams, ([stream, known]) => ({ tenant, device, stream, ...known }))
}

/** The points of a stream, page by page: field after field, each in time order. */
export async function* pagesOf(
  points: PointStore,
  streamOfDevice: StreamOfDevice,
  signal: AbortSignal,
  from?: string,
): AsyncGenerator<PointPage> {
  const { tenant, device, stream, types } = streamOfDevice
  const limit = types.has('string') ? PAGE_POINTS.texts : PAGE_POINTS.numbers
  for (let cursor = from; ;) {
    signal.throwIfAborted()
    const query = { tenant, device, stream, limit, ...(cursor === undefined ? {} : { cursor }) }
    const page = await persist(() => points.query(query), signal)
    yield page
    if (page.next === undefined) return
    cursor = page.next
  }
}

/**
 * Copies every point, device after device. A part that is repeated writes the same points again, which changes nothing.
 */
export async function movePoints(step: Step, progress: Progress, differences: Differences): Promise<void> {
  const { source, target, signal, onProgress } = step
  const { points: state } = progress.state
  const writer = new PointMover(step, differences)
  const plain = new PlainTypes(target.tables, signal)
  const before = { moved: state.moved, rejected: state.rejected }
  const begin = state.at
  let reached: Pick<typeof state, 'after' | 'at'> = { after: state.after, at: begin }
  const flush = async () => {
    await writer.flush()
    Object.assign(state, reached, { moved: before.moved + writer.moved, rejected: before.rejected + writer.rejected })
    progress.saveNowAndThen()
    onProgress(() => `points: ${state.moved} copied`)
  }
  for await (const device of devicesFrom(source.points, reached)) {
    const resumed = begin?.tenant === device.tenant && begin.device === device.device ? begin : undefined
    for (const stream of await streamsOf(source.points, device)) {
      if (resumed !== undefined && stream.stream < resumed.stream) continue
      const plainOf = await plain.of(stream)
      const cursor = resumed?.stream === stream.stream ? resumed.cursor : undefined
      for await (const { series, next } of pagesOf(source.points, stream, signal, cursor)) {
        for (const one of series) {
          writer.add({ ...device, ...one, type: storedType(one.type), ...plainOf(one.field) }, one.times, one.values)
        }
        if (next !== undefined)
          reached = { after: reached.after, at: { ...device, stream: stream.stream, cursor: next } }
        if (writer.isFull) await flush()
      }
    }
    reached = { after: device, at: undefined }
  }
  await flush()
  await persist(() => target.points.sync(), signal).catch((error: unknown) => {
    // Copied again from the start by the next run.
    if (toSluiceError(error).code === 'store_rewound') {
      Object.assign(state, { after: undefined, at: undefined, moved: 0, rejected: 0 })
      progress.save()
    }
    throw error
  })
  state.done = true
  progress.save()
}

/** Devices behind the last one that is done, beginning with the one that is under way. */
async function* devicesFrom(
  points: PointStore,
  { after, at }: Pick<ProgressState['points'], 'after' | 'at'>,
): AsyncGenerator<DeviceOfPoints> {
  if (at !== undefined) yield { tenant: at.tenant, device: at.device }
  for await (const page of devicesOf(points, at ?? after)) yield* page
}

/** Gathers points into writes of one size. */
class PointMover {
  moved = 0
  rejected = 0
  readonly #step: Step
  readonly #differences: Differences
  #batch: PointBatch = emptyBatch()

  constructor(step: Step, differences: Differences) {
    this.#step = step
    this.#differences = differences
  }

  get isFull(): boolean {
    return this.#batch.series.length >= WRITE_POINTS
  }

  add(
    { tenant, device, stream, field, type, plain = 'float' }: Series,
    times: readonly { ms: number; ns: number }[],
    values: readonly PointValue[],
  ): void {
    const series: Series = { tenant, device, stream, field, type, plain }
    for (const [index, { ms, ns }] of times.entries()) {
      const value = values[index]
      if (value === undefined) throw new RangeError('fewer values than times')
      this.#batch.series.push(series)
      this.#batch.ms.push(ms)
      this.#batch.ns.push(ns)
      this.#batch.values.push(value)
    }
  }

  async flush(): Promise<void> {
    const batch = this.#batch
    if (batch.series.length === 0) return
    const { target, signal } = this.#step
    const refused = await persist(() => target.points.write(batch), signal)
    for (const { index, error } of refused) {
      const one = batch.series[index]
      this.#differences.add(
        `point of ${one?.tenant}/${one?.device} ${one?.stream} ${one?.field} refused: ${error.message}`,
      )
    }
    this.moved += batch.series.length - refused.length
    this.rejected += refused.length
    this.#batch = emptyBatch()
  }
}

function emptyBatch(): PointBatch {
  return { series: [], ms: [], ns: [], values: [] }
}
