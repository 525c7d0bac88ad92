import type { PointPage, PointQuery, RejectedPoint } from '../../shared/points/port.ts'
import { compareInstants, type Instant, type PointBatch, type PointValue, type Series } from '../../shared/telemetry.ts'

export type StoredPoints = ReadonlyMap<string, PointValue>

/** What the worker uses of a point store, in memory, with the difference between visible and durable. */
export class MemoryPoints {
  #durable = new Map<string, PointValue>()
  #visible = new Map<string, PointValue>()
  readonly #places = new Map<string, { readonly series: Series; readonly time: Instant }>()
  /** Identities in the order they were written, repeats included. */
  readonly written: string[] = []

  /** By `tenant/device/stream/field/type@ms.ns`. */
  get visible(): StoredPoints {
    return this.#visible
  }

  async write(batch: PointBatch): Promise<readonly RejectedPoint[]> {
    for (const [i, series] of batch.series.entries()) {
      const { tenant, device, stream, field, type } = series
      const id = `${tenant}/${device}/${stream}/${field}/${type}@${batch.ms[i]}.${batch.ns[i]}`
      this.#places.set(id, { series, time: { ms: batch.ms[i] ?? 0, ns: batch.ns[i] ?? 0 } })
      this.#visible.set(id, batch.values[i] ?? '')
      this.written.push(id)
    }
    return []
  }

  /** What is visible of a stream and span, whatever else is asked. */
  async query({ tenant, device, stream, from, to }: PointQuery): Promise<PointPage> {
    const series = [...this.#visible].flatMap(([id, value]) => {
      const place = this.#places.get(id)
      if (place === undefined) return []
      const { series: one, time } = place
      if (one.tenant !== tenant || one.device !== device || one.stream !== stream) return []
      if (from !== undefined && compareInstants(time, from) < 0) return []
      if (to !== undefined && compareInstants(time, to) >= 0) return []
      return [{ stream, field: one.field, type: one.type, times: [time], values: [value] }]
    })
    return { series, complete: true, next: undefined, leftOut: [] }
  }

  async sync(): Promise<void> {
    this.#durable = new Map(this.#visible)
  }

  /** A power cut: what was not synced is gone. */
  crash(): void {
    this.#visible = new Map(this.#durable)
  }
}
