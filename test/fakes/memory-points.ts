import type { RejectedPoint } from '../../shared/points/port.ts'
import type { PointBatch, PointValue } from '../../shared/telemetry.ts'

export type StoredPoints = ReadonlyMap<string, PointValue>

/** What the worker uses of a point store, in memory, with the difference between visible and durable. */
export class MemoryPoints {
  #durable = new Map<string, PointValue>()
  #visible = new Map<string, PointValue>()
  /** Identities in the order they were written, repeats included. */
  readonly written: string[] = []

  /** By `tenant/device/stream/field/type@ms.ns`. */
  get visible(): StoredPoints {
    return this.#visible
  }

  async write(batch: PointBatch): Promise<readonly RejectedPoint[]> {
    for (const [i, { tenant, device, stream, field, type }] of batch.series.entries()) {
      const id = `${tenant}/${device}/${stream}/${field}/${type}@${batch.ms[i]}.${batch.ns[i]}`
      this.#visible.set(id, batch.values[i] ?? '')
      this.written.push(id)
    }
    return []
  }

  async sync(): Promise<void> {
    this.#durable = new Map(this.#visible)
  }

  /** A power cut: what was not synced is gone. */
  crash(): void {
    this.#visible = new Map(this.#durable)
  }
}
