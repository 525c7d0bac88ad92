import Type, { type Static } from 'typebox'
import type { DeviceLimitRecord, PresenceRecord } from '../../shared/registry/presence-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { rfc3339, TimeOrNull } from './time.ts'

export const PresenceView = Type.Object(
  {
    connected: Type.Boolean(),
    since: TimeOrNull,
    reason: Type.Union([Type.String(), Type.Null()], { description: 'Why the last connection was closed.' }),
    sessions: Type.Array(
      Type.Object({
        clientId: Type.String(),
        connected: Type.Boolean(),
        since: TimeOrNull,
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

/** Whether a device is connected, where, and what limits acted on it. */
export async function viewPresence(
  { presence }: Registry,
  tenant: string,
  device: string,
): Promise<{ presence: Static<typeof PresenceView>; limits: Static<typeof LimitsView> }> {
  const [sessions, limits] = await Promise.all([presence.of(tenant, device), presence.limitsOf(tenant, device)])
  const [newest] = sessions
  return {
    presence: {
      connected: newest?.connected ?? false,
      since: rfc3339(newest?.sinceMs),
      reason: newest?.reason ?? null,
      sessions: sessions.map(viewSession),
    },
    limits: limits.map(viewLimit),
  }
}

function viewSession({ clientId, connected, sinceMs, node, address, reason }: PresenceRecord) {
  return { clientId, connected, since: rfc3339(sinceMs), node, address, reason: reason ?? null }
}

function viewLimit({ code, limit, sinceMs, lastMs, count }: DeviceLimitRecord) {
  return { code, limit, since: rfc3339(sinceMs), last: rfc3339(lastMs), count }
}
