import type { FieldDeclaration, StreamState } from '../../shared/registry/port.ts'
import { streamKey } from '../../shared/topics.ts'
import type { FieldType } from '../../shared/telemetry.ts'
import type { TelemetryTopic } from '../../shared/topics.ts'

/** What the worker uses of a registry, in memory. */
export class MemoryRegistry {
  readonly types = new Map<string, FieldType>()
  readonly states = new Map<string, StreamState>()

  async pinFieldTypes(fields: readonly FieldDeclaration[]): Promise<readonly FieldType[]> {
    return fields.map(({ tenant, stream, field, type }) => {
      const key = `${tenant}/${stream}/${field}`
      const pinned = this.types.get(key) ?? type
      this.types.set(key, pinned)
      return pinned
    })
  }

  async readStreams(streams: readonly TelemetryTopic[]): Promise<readonly (StreamState | undefined)[]> {
    return streams.map((names) => this.states.get(streamKey(names)))
  }

  async writeState(rows: readonly StreamState[]): Promise<void> {
    for (const row of rows) {
      const known = this.states.get(streamKey(row))
      if (known?.log !== row.log || row.offset > known.offset) this.states.set(streamKey(row), row)
    }
  }
}
