import { integer } from '../shared/config.ts'

const perSecond = (about: string, max: number) => integer(0, `${about} 0 = no limit.`, { min: 0, max })

/** What one login and one tenant may ask of a node. A rate slows the reading of a socket, it never closes it; over HTTP it is 429. */
export const brokerLimits = {
  // Off: a limit nobody chose would slow a backlog down that a device sends after an outage, which is what it is for.
  DEVICE_MESSAGES_PER_SECOND: perSecond(
    'Messages that one login may publish, or post over HTTP, per second and node.',
    1_000_000,
  ),
  DEVICE_BYTES_PER_SECOND: perSecond(
    'Bytes of PUBLISH, or of payloads posted over HTTP, that one login may send per second and node.',
    1e9,
  ),
  TENANT_MESSAGES_PER_SECOND: perSecond(
    'Messages that the devices of one tenant may publish, or post over HTTP, per second and node.',
    1e7,
  ),
  TENANT_BYTES_PER_SECOND: perSecond(
    'Bytes of PUBLISH, or of payloads posted over HTTP, that the devices of one tenant may send per second and node.',
    1e10,
  ),
  // A device that reports once a minute and was away for ten seconds is not slowed at any sensible rate.
  RATE_BURST_SECONDS: integer(10, 'Burst allowance of these rates, in seconds.', { min: 1, max: 3_600 }),
  // A device needs two, a dashboard a few dozen; each is kept in memory and matched against every message.
  MAX_SUBSCRIPTIONS: integer(256, 'Maximum subscriptions per session.', { min: 1, max: 100_000 }),
  // A device has one or two clients. Of one that makes up a client id at each start this many are kept; and with 4 MiB of
  // messages each this is 256 MiB.
  MAX_SESSIONS_PER_LOGIN: integer(
    64,
    'Maximum persistent sessions per login, connected or not. A new one takes the place of one that is away and keeps nothing.',
    { min: 1, max: 10_000 },
  ),
  // Who is silent for half an hour is gone for whoever looks at the fleet; a NAT has forgotten it long before. A client of
  // 3.1.1 cannot be told, and would be cut off though it does nothing wrong.
  MAX_KEEPALIVE_SECONDS: integer(
    1_200,
    'Longest keepalive of a client of MQTT 5, which is told; a device that asks for none gets this value. Those of 3.1.1 have their own.',
    { min: 5, max: 65_535 },
  ),
  // At 50 KB each 50 MB; a peer that is gone is found by the kernel in minutes.
  MAX_SILENT_CONNECTIONS: integer(
    1_000,
    'Connections with keepalive 0 that may be silent for longer than MAX_KEEPALIVE_SECONDS; beyond, the most silent ones are closed.',
    { min: 0, max: 1_000_000 },
  ),
} as const
