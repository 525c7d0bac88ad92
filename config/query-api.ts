import { integer, optionalText, port } from '../shared/config.ts'
import { brokerLimits } from './broker-limits.ts'
import { brokerSettings } from './broker.ts'
import { isNetwork, list } from './listeners.ts'
import { metricsSettings } from './metrics.ts'

/** Settings of the HTTP API. Where it listens and how long a payload may be is the same as for MQTT. */
export const queryApiSettings = {
  BIND_ADDRESS: brokerSettings.BIND_ADDRESS,
  MAX_PACKET_BYTES: brokerSettings.MAX_PACKET_BYTES,
  WAIT_FOR_CLOCK: brokerSettings.WAIT_FOR_CLOCK,
  DEVICE_MESSAGES_PER_SECOND: brokerLimits.DEVICE_MESSAGES_PER_SECOND,
  DEVICE_BYTES_PER_SECOND: brokerLimits.DEVICE_BYTES_PER_SECOND,
  TENANT_MESSAGES_PER_SECOND: brokerLimits.TENANT_MESSAGES_PER_SECOND,
  TENANT_BYTES_PER_SECOND: brokerLimits.TENANT_BYTES_PER_SECOND,
  RATE_BURST_SECONDS: brokerLimits.RATE_BURST_SECONDS,
  HTTP_PORT: port(8080, 'Port of the HTTP API and the page; 0 = chosen by the system.'),
  HTTP_CONNECTIONS_MAX: integer(
    1000,
    'Maximum open HTTP connections; a further one takes the place of the one that was idle longest.',
    { min: 10, max: 100_000 },
  ),
  // A browser opens six, a proxy with a pool some dozens.
  HTTP_CONNECTIONS_PER_ADDRESS: integer(
    256,
    'Maximum open HTTP connections per client address (IPv6: per /64); loopback and proxies have no limit. 0 = off.',
    { min: 0, max: 100_000 },
  ),
  HTTP_REQUEST_SECONDS: integer(
    60,
    'Seconds in which a request must have arrived whole; its header must in 10 at most.',
    { min: 1, max: 3_600 },
  ),
  // What InfluxDB 1.x takes; Telegraf's batches of 1,000 have some 300 KB.
  HTTP_WRITE_BYTES_MAX: integer(
    25_000_000,
    'Maximum size of the body of a POST to /write or /api/v2/write, unpacked.',
    {
      min: 65_536,
      max: 32_000_000,
    },
  ),
  HTTP_HOSTS: list(
    'Names, separated by commas, under which a proxy on this host hands on requests to a BIND_ADDRESS on loopback.',
    (entry) => /^[\w.-]+$/.test(entry),
    'a host name without port',
  ),
  ...metricsSettings,
  HTTP_PROXY_FROM: list(
    'Addresses or networks of the proxies in front of HTTP_PORT, separated by commas; X-Forwarded-For of others means nothing.',
    isNetwork,
    'an address or network',
  ),
  POLICY_FILES: optionalText(
    'Folder of policies, *.yaml, which nobody changes over the API; the same in all API processes. Read again on a change.',
  ),
  CONTRACT_FILES: optionalText(
    'Folder of contracts, *.yaml, which declare what fields mean; the same in all API processes. config/contracts if it is there.',
  ),
  HTTP_STREAMS_MAX: integer(64, 'Maximum live views (page, tail) open at the same time.', { min: 1, max: 10_000 }),
} as const
