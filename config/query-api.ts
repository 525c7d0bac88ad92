import { integer, port } from '../shared/config.ts'
import { brokerSettings } from './broker.ts'

/** Settings of the HTTP API. Where it listens and how long a payload may be is the same as for MQTT. */
export const queryApiSettings = {
  BIND_ADDRESS: brokerSettings.BIND_ADDRESS,
  MAX_PACKET_BYTES: brokerSettings.MAX_PACKET_BYTES,
  WAIT_FOR_CLOCK: brokerSettings.WAIT_FOR_CLOCK,
  HTTP_PORT: port(8080, 'Port of the HTTP API and the page; 0 = chosen by the system.'),
  HTTP_CONNECTIONS_MAX: integer(1000, 'Maximum open HTTP connections; further ones are closed at once.', {
    min: 10,
    max: 100_000,
  }),
  HTTP_STREAMS_MAX: integer(64, 'Maximum live views (page, tail) open at the same time.', { min: 1, max: 10_000 }),
} as const
