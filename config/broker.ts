import { integer, oneOf, optionalText, text, type Config } from '../shared/config.ts'
import { brokerLimits } from './broker-limits.ts'
import { drainSeconds, listenerSettings } from './listeners.ts'

/** Settings of the broker. */
export const brokerSettings = {
  BIND_ADDRESS: text('127.0.0.1', 'Address to listen on. Anything but loopback can be reached from other hosts.'),
  ...listenerSettings,
  DRAIN_SECONDS: drainSeconds(0),
  MQTT_ANONYMOUS_AS: optionalText(
    'Application that clients without a username log in as. For laboratories only: refused unless the listener is loopback.',
  ),
  WAIT_FOR_CLOCK: integer(
    0,
    'Seconds after a start in which nothing is acknowledged before the system clock is known to be synchronised; 0 = no wait.',
    { min: 0, max: 86_400 },
  ),
  REFUSED_PUBLISH: oneOf(
    'acknowledge',
    ['acknowledge', 'close'],
    'Answer to a refused PUBLISH: acknowledge it, so that it does not block the queue of the device, or close the connection.',
  ),
  REFUSED_WILL: oneOf(
    'leave_out',
    ['leave_out', 'close'],
    'Answer to a will that may not be published: let the client in without it, or turn the client away, as a deny rule always does.',
  ),
  MAX_PACKET_BYTES: integer(65_536, 'Maximum size of an MQTT packet, in bytes; a larger PUBLISH is refused.', {
    min: 1024,
    max: 1_000_000,
  }),
  // Zigbee2MQTT tells of sixty devices in 134 KB. The log, and so telemetry, is made for smaller records.
  MAX_APPLICATION_PACKET_BYTES: integer(
    1_048_576,
    'The same for applications, where it is not telemetry: that has MAX_PACKET_BYTES.',
    { min: 1024, max: 4_194_304 },
  ),
  MAX_IN_FLIGHT_PER_CLIENT: integer(
    64,
    'Messages of one client that may wait for the log before its socket is no longer read.',
    {
      min: 1,
      max: 4096,
    },
  ),
  MAX_IN_FLIGHT_RECORDS: integer(20_000, 'Messages of all clients together that may wait for the log.', {
    min: 100,
    max: 1_000_000,
  }),
  ...brokerLimits,
  MAX_IN_FLIGHT_MB: integer(16, 'Payload of all clients together that may wait for the log, in MiB.', {
    min: 1,
    max: 4096,
  }),
} as const

export type BrokerSettings = Config<typeof brokerSettings>
