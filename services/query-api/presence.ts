import Type, { type Static } from 'typebox'
import { NODE_LOST, type DeviceLimitRecord, type PresenceRecord } from '../../shared/registry/presence-port.ts'
import type { Device } from '../../shared/registry/port.ts'
import { deviceKey } from '../../shared/topics.ts'
import type { ApiParts } from './api.ts'
import { rfc3339, TimeOrNull } from './time.ts'

export const PresenceView = Type.Object(
  {
    connected: Type.Boolean(),
    since: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
      description: 'When it connected, or when it was last heard before its last connection ended.',
    }),
    reason: Type.Union([Type.String(), Type.Null()], { description: 'Why the last connection was closed.' }),
    sessions: Type.Array(
      Type.Object({
        clientId: Type.String(),
        connected: Type.Boolean(),
        since: TimeOrNull,
        lastHeard: TimeOrNull,
        node: Type.String({ description: 'The broker node.' }),
        address: Type.String(),
        reason: Type.Union([Type.String(), Type.Null()]),
      }),
    ),
  },
  { description: 'As recorded by the broker nodes; about a second old.' },
)

export const LimitsView = Type.Array(
  Type.Object({ code: Type.String(), limit: Type.Number(), since: TimeOrNull, last: TimeOrNull, count: Type.Number() }),
  { description: 'Limits that were applied to the device, newest first.' },
)

/** A session, and when it was last heard. */
interface HeardSession extends PresenceRecord {
  /** Undefined when its node was killed, and nobody knows. */
  readonly heardMs: number | undefined
}

/** What is said of each device beside its name. */
export interface Heard {
  readonly connected: boolean
  readonly lastHeardMs: number | undefined
}

/** Whether devices are connected, and when they were last heard: in the order of the devices. */
export async function heardOf(parts: ApiParts<'registry' | 'nodes'>, devices: readonly Device[]): Promise<Heard[]> {
  const records = await parts.registry.presence.ofAll(devices)
  const sessions = Map.groupBy(await asked(parts, records), ({ tenant, device }) => deviceKey(tenant, device))
  return devices.map((one) => summary(one, sessions.get(deviceKey(one.tenant, one.device)) ?? []))
}

/** Whether a device is connected, where, and what limits acted on it. */
export async function viewPresence(
  parts: ApiParts<'registry' | 'nodes'>,
  device: Device,
): Promise<Heard & { presence: Static<typeof PresenceView>; limits: Static<typeof LimitsView> }> {
  const { presence } = parts.registry
  const of = [device.tenant, device.device] as const
  const [records, limits] = await Promise.all([presence.of(...of), presence.limitsOf(...of)])
  const sessions = await asked(parts, records)
  const [newest] = sessions
  return {
    ...summary(device, sessions),
    presence: {
      connected: newest?.connected ?? false,
      since: rfc3339(newest?.sinceMs),
      reason: newest?.reason ?? null,
      sessions: sessions.map(viewSession),
    },
    limits: limits.map(viewLimit),
  }
}

/** Nodes know of sessions that last; of others it is written down. */
async function asked({ nodes }: ApiParts<'nodes'>, records: readonly PresenceRecord[]): Promise<HeardSession[]> {
  const live = records.filter(({ connected }) => connected)
  const times = live.length === 0 ? [] : await nodes.heard(live)
  const heard = new Map(live.map((record, index) => [record, times[index] ?? undefined]))
  return records.map((record) => {
    const known = record.reason === NODE_LOST ? undefined : record.sinceMs
    return { ...record, heardMs: heard.get(record) ?? known }
  })
}

/** Readings that came over HTTP are heard, too. */
function summary({ lastSeenMs }: Device, sessions: readonly HeardSession[]): Heard {
  const times = [lastSeenMs, ...sessions.map(({ heardMs }) => heardMs)].filter((ms) => ms !== undefined)
  const lastHeardMs = times.length === 0 ? undefined : Math.max(...times)
  return { connected: sessions.some(({ connected }) => connected), lastHeardMs }
}

function viewSession({ clientId, connected, sinceMs, heardMs, node, address, reason }: HeardSession) {
  const times = { since: rfc3339(sinceMs), lastHeard: rfc3339(heardMs) }
  return { clientId, connected, ...times, node, address, reason: reason ?? null }
}

function viewLimit({ code, limit, sinceMs, lastMs, count }: DeviceLimitRecord) {
  return { code, limit, since: rfc3339(sinceMs), last: rfc3339(lastMs), count }
}
