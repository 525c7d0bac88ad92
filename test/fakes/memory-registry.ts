import type { DeviceFields, StreamFields } from '../../shared/registry/fields-port.ts'
import type { DeviceLimitRecord, Presence } from '../../shared/registry/presence-port.ts'
import type { FieldDeclaration, Registry, StreamState } from '../../shared/registry/port.ts'
import { SAME_NAMES, type DeviceNames } from '../../shared/registry/names-port.ts'
import { deviceKey } from '../../shared/topics.ts'
import { TombstoneView, type Tombstones } from '../../shared/registry/tombstones-port.ts'
import type { FieldType } from '../../shared/telemetry.ts'
import { MemoryDecoders } from './memory-decoders.ts'
import { MemoryDeclaredTypes } from './memory-declared-types.ts'
import { MemoryPolicies, NO_WATCHES } from './memory-policies.ts'
import type { TelemetryTopic } from '../../shared/topics.ts'

const NOTHING_DELETED = new TombstoneView()
const unused = (): never => {
  throw new Error('not part of the fake')
}

/** What the worker uses of a registry, in memory. */
export class MemoryRegistry {
  names: DeviceNames = SAME_NAMES
  readonly watches = NO_WATCHES
  /** No login makes devices unless a test says so. */
  admitDevice: Registry['admitDevice'] = async () => 'unknown'
  readonly types = new Map<string, FieldType>()
  readonly policies = new MemoryPolicies()
  readonly declaredTypes = new MemoryDeclaredTypes()
  readonly decoders = new MemoryDecoders()
  readonly states = new Map<string, StreamState>()
  readonly streams = new Map<string, StreamFields>()
  readonly limits: DeviceLimitRecord[] = []

  readonly fields: DeviceFields = {
    of: async (devices) => {
      return [...this.streams.values()].filter((row) => devices.some((one) => isSameDevice(one, row)))
    },
    write: async (rows) => {
      for (const row of rows) this.streams.set(nameOf(row), row)
    },
    countOf: async (tenant) => {
      const rows = [...this.streams.values()].filter((row) => row.tenant === tenant)
      return rows.reduce((sum, { marks }) => sum + marks.length, 0)
    },
  }

  readonly presence: Presence = {
    record: async () => {},
    endNode: async () => {},
    of: async () => [],
    ofAll: async () => [],
    recordLimits: async (limits) => void this.limits.push(...limits),
    limitsAfter: async () => [],
    limitsOf: async () => [],
  }

  /** Nothing is deleted here. */
  readonly tombstones: Tombstones = {
    current: async () => NOTHING_DELETED,
    put: unused,
    close: unused,
    clearLatest: unused,
  }

  async pinFieldTypes(fields: readonly FieldDeclaration[]): Promise<readonly FieldType[]> {
    return fields.map(({ tenant, stream, field, type }) => {
      const key = `${tenant}/${stream}/${field}`
      const pinned = this.types.get(key) ?? type
      this.types.set(key, pinned)
      return pinned
    })
  }

  async readStreams(streams: readonly TelemetryTopic[]): Promise<readonly (StreamState | undefined)[]> {
    return streams.map((names) => this.states.get(nameOf(names)))
  }

  async writeState(rows: readonly StreamState[]): Promise<void> {
    for (const row of rows) {
      const known = this.states.get(nameOf(row))
      if (known?.log !== row.log || row.offset > known.offset) this.states.set(nameOf(row), row)
    }
  }
}

function isSameDevice(a: { tenant: string; device: string }, b: { tenant: string; device: string }): boolean {
  return a.tenant === b.tenant && a.device === b.device
}

function nameOf({ tenant, device, stream }: { tenant: string; device: string; stream: string }): string {
  return `${deviceKey(tenant, device)}/${stream}`
}
